"""Several hosts in the URL of a PostgreSQL database: a primary and its standby."""

import contextlib

import databases
import drivers
import load
import psycopg2
import pytest
import service as services
from machines import PostgreSql, made, started

import servers


class Standby(PostgreSql):
    """A hot standby, which answers reads."""

    name = 'standby'
    primary = None

    def prepare(self):
        self.initialise([
            servers.find_program('pg_basebackup', *self.directories), '-h', '127.0.0.1', '-p', str(self.primary.port),
            '-U', 'postgres', '-D', str(self.directory / 'data'), '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync'])


def administer(server, *statements):
    with contextlib.closing(psycopg2.connect(host='127.0.0.1', port=server.port, user='postgres')) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


@pytest.fixture
def primary_and_standby():
    with started(PostgreSql, ['-c', 'synchronous_commit=remote_write']) as primary, made(Standby) as standby:
        administer(primary, 'CREATE DATABASE several')
        standby.primary = primary
        standby.start()
        standby.wait_until_ready()
        # A write is answered when the standby has it too, so that no answered write is lost with the primary.
        administer(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'", 'SELECT pg_reload_conf()')
        yield primary, standby


def test_a_standby_is_left_out_until_it_is_the_primary(primary_and_standby, tmp_path, monkeypatch):
    primary, standby = primary_and_standby
    monkeypatch.setenv('ALLOTMENT_TEST_POSTGRES_URL', f'postgres://postgres@127.0.0.1:{standby.port}/postgres')
    database = databases.PostgreSql('several', tmp_path)
    database.url = f'postgres://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/several'
    service = services.Service(tmp_path, next(drivers.PORTS), database, {})
    service.ensure_started()
    try:
        service.await_log(f'host 127.0.0.1:{standby.port} is left out')
        with load.Load(service.url, clients=4) as crowd:
            crowd.await_answers()
            primary.process.kill()
            primary.process.wait()
            administer(standby, 'SELECT pg_promote()')
            crowd.await_answers()
        crowd.check(database)
    finally:
        service.stop()


def test_errors_name_the_hosts_without_the_password(migrate, mariadb, postgresql):
    for url, server in [(f'mysql://root:hush@127.0.0.1:1,127.0.0.1:{mariadb.port}/missing', mariadb),
                        (f'postgres://postgres:hush@127.0.0.1:1,127.0.0.1:{postgresql.port}/missing', postgresql)]:
        done = migrate(url)
        assert done.returncode, url
        told = done.stderr + done.stdout
        assert '127.0.0.1:1: ' in told and f'127.0.0.1:{server.port}: ' in told and 'hush' not in told, told
