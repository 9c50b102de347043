"""The start of the service: a database that is not there yet, and one whose schema others take care of."""

import contextlib
import signal
import subprocess

import drivers
import httpx
import psycopg2
import pymysql
import pytest
import service as services
from machines import MariaDb, PostgreSql, made


class Starting:
    """A service that may not come up; its log tells."""

    def __init__(self, directory, url, **settings):
        self.log_file = directory / 'log'
        self.url = f'http://127.0.0.1:{next(drivers.PORTS)}'
        tables = {'listen': self.url.removeprefix('http://'), 'database': {'url': url, **settings}}
        (directory / 'allotment.toml').write_text(services.toml(tables))
        with open(self.log_file, 'wb') as log:
            self.process = subprocess.Popen(
                [drivers.binary(), 'serve', '--config', directory / 'allotment.toml'], cwd=directory,
                env=drivers.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=drivers.end_with_parent)

    def log(self):
        return self.log_file.read_text()

    def await_log(self, words):
        services.await_true(lambda: words in self.log(), f'not logged: {words}')

    def ended(self):
        return self.process.wait(services.PATIENCE), self.log()

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path):
    """Returns a function that starts a service and does not wait for it."""
    started = []

    def run(url, **settings):
        directory = tmp_path / f'service{len(started)}'
        directory.mkdir()
        started.append(Starting(directory, url, **settings))
        return started[-1]

    yield run
    for each in started:
        each.stop()


@pytest.mark.parametrize(('kind', 'url'), [
    (PostgreSql, 'postgres://postgres@127.0.0.1:{port}/postgres'),
    (MariaDb, 'mysql://root@127.0.0.1:{port}/test_start')])
def test_a_database_that_comes_later_is_waited_for(start, kind, url):
    with made(kind) as server:
        service = start(url.format(port=server.port))
        service.await_log('try 2: ')
        server.start()
        server.wait_until_ready()
        if kind is MariaDb:
            with pymysql.connect(host='127.0.0.1', port=server.port, user='root') as connection:
                connection.cursor().execute('CREATE DATABASE test_start')
        service.await_log('listening on')
        assert httpx.get(service.url + '/', trust_env=False).status_code == 200


LOCKS = {'postgres': 'LOCK TABLE allotment_replicas', 'mysql': 'LOCK TABLES allotment_replicas WRITE'}


@pytest.mark.parametrize('database', LOCKS, indirect=True)
def test_a_database_that_answers_too_late_is_waited_for(start, migrate, database):
    """The connections are made, and the statements after them wait for somebody's lock."""
    assert migrate(database.url).returncode == 0
    with contextlib.closing(database._connect()) as holder:
        holder.cursor().execute(LOCKS['mysql' if 'mysql' in database.url else 'postgres'])
        service = start(database.url, statement_seconds=1)
        service.await_log('try 2: ')
    service.await_log('listening on')


# A port on which nothing listens.
NOWHERE = 'postgres://postgres:hush@127.0.0.1:1/none'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting(start, number):
    service = start(NOWHERE)
    service.await_log('try 1: ')
    service.process.send_signal(number)
    code, log = service.ended()
    assert (code, 'hush' in log) == (0, False), log
    assert 'stopped before the start had ended' in log


def test_after_its_tries_the_start_fails(start):
    code, log = start(NOWHERE, start_seconds=2).ended()
    assert (code, 'hush' in log) == (1, False), log
    assert 'try 1: ' in log and 'cannot connect to the database' in log, log


def test_what_waiting_does_not_help_ends_the_start_at_once(start):
    code, log = start('sqlite:/nonexistent/a.db').ended()
    assert (code, 'try 1: ' in log) == (1, False), log
    assert '/nonexistent/a.db' in log, log


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_a_schema_that_others_take_care_of(start, migrate, database):
    code, log = start(database.url, migrate_at_start=False).ended()
    assert code == 1, log
    assert 'run "allotment migrate"' in log and 'migrate_at_start' in log, log
    assert migrate(database.url).returncode == 0
    start(database.url, migrate_at_start=False).await_log('listening on')


def limited_postgres(database):
    with psycopg2.connect(database.url) as connection:
        cursor = connection.cursor()
        cursor.execute(f"""
            CREATE ROLE {database.name} LOGIN;
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {database.name};
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {database.name}""")
    yield database.url.replace('postgres@', f'{database.name}@')
    with psycopg2.connect(database.url) as connection:
        connection.cursor().execute(f'DROP OWNED BY {database.name}; DROP ROLE {database.name}')


def limited_mysql(database):
    user = database.name[-60:]
    with database._connect() as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE USER '{user}'@'%'")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database.name}.* TO '{user}'@'%'")
    yield database.url.replace('root@', f'{user}@')
    with database._connect() as connection:
        connection.cursor().execute(f"DROP USER '{user}'@'%'")


@pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)
def test_a_service_needs_no_right_to_change_the_schema(start, migrate, database):
    assert migrate(database.url).returncode == 0
    limited = limited_mysql(database) if 'mysql' in database.url else limited_postgres(database)
    for url in limited:
        service = start(url, migrate_at_start=False)
        service.await_log('listening on')
        ready = httpx.get(service.url + '/healthcheck?ready', trust_env=False)
        assert ready.status_code == 200, ready.text
        service.process.terminate()
        service.process.wait(services.PATIENCE)
