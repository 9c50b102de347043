"""A database that is reached and does not answer is given up in bounded time."""

import contextlib
import socket
import threading

import drivers
import pytest
import service as services
from api import Api


class Relay:
    """Passes bytes on between clients and a server until it is told to swallow them."""

    def __init__(self, port):
        self.server_port = port
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.passes = threading.Event()
        self.passes.set()
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(('127.0.0.1', self.server_port))
                self.sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=pair, daemon=True).start()

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.passes.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.passes.set()
        for each in (self.listener, *self.sockets):
            each.close()


class ThroughRelay:
    """A database whose URL leads through a relay."""

    def __init__(self, database):
        self.relay = Relay(database.server.port)
        self.url = database.url.replace(f':{database.server.port}/', f':{self.relay.port}/')


@pytest.fixture
def through(database):
    made = ThroughRelay(database)
    yield made
    made.relay.close()


@pytest.fixture
def service(tmp_path, through):
    made = services.Service(tmp_path, next(drivers.PORTS), through, {
        'database': {'connect_seconds': 1, 'statement_seconds': 1}})
    made.ensure_started()
    yield made
    made.stop()


both = pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)


@both
def test_requests_are_answered_while_the_network_swallows_everything(service, through):
    api = Api(service.url)
    provider = api('POST', '/resource_providers', {'name': 'a'})
    path = f"/resource_providers/{provider['uuid']}"
    through.relay.passes.clear()
    for _ in range(2):
        answer = api.send('GET', path)
        assert answer.status_code == 503, answer.text
    answer = api.send('PUT', path, {'name': 'b'})
    assert answer.status_code == 503, answer.text
    through.relay.passes.set()
    services.await_true(lambda: api.send('GET', path).status_code == 200, 'the service does not recover')


@both
def test_a_statement_that_takes_too_long_is_a_503(service, database):
    api = Api(service.url)
    provider = api('POST', '/resource_providers', {'name': 'a'})
    with contextlib.closing(database._connect()) as connection:
        cursor = connection.cursor()
        cursor.execute('BEGIN')
        cursor.execute("UPDATE resource_providers SET name = 'b'")
        answer = api.send('PUT', f"/resource_providers/{provider['uuid']}", {'name': 'c'})
        assert answer.status_code == 503, answer.text
    answer = api.send('PUT', f"/resource_providers/{provider['uuid']}", {'name': 'c'})
    assert answer.status_code == 200, answer.text


@both
def test_a_migration_may_take_longer_than_a_statement(database, through, migrate):
    """It waits for another one's lock, and does nothing before it has the lock."""
    connection = database._connect()
    cursor = connection.cursor()
    is_mysql = 'mysql' in database.url
    cursor.execute("SELECT GET_LOCK('allotment_migrate', 10)" if is_mysql
                   else f'SELECT pg_advisory_lock({0x616c6c6f746d656e})')
    tables = []

    def let_go():
        cursor.execute('SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '
                       + ('DATABASE()' if is_mysql else 'CURRENT_SCHEMA()'))
        tables.append(cursor.fetchone()[0])
        connection.close()

    # Beyond the time of a statement, and beyond what the client adds to it.
    timer = threading.Timer(8, let_go)
    timer.start()
    done = migrate(through.url, statement_seconds=1, connect_seconds=1)
    timer.join()
    assert (done.returncode, tables) == (0, [0]), done


@pytest.mark.parametrize('database', ['mysql'], indirect=True)
def test_a_migration_whose_wait_is_ended_does_nothing(database, through, migrate):
    """MariaDB then answers the question for the lock without an error."""
    with contextlib.closing(database._connect()) as holder, contextlib.closing(database._connect()) as operator:
        holder.cursor().execute("SELECT GET_LOCK('allotment_migrate', 10)")
        cursor = operator.cursor()

        def end_the_wait():
            waits = ()
            while not waits:
                cursor.execute("SELECT id FROM information_schema.processlist WHERE state = 'User lock' AND db = DATABASE()")
                waits = cursor.fetchall()
            cursor.execute(f'KILL QUERY {waits[0][0]}')

        ending = threading.Thread(target=end_the_wait)
        ending.start()
        done = migrate(through.url)
        ending.join()
        assert (done.returncode, 'another process is bringing the schema up to date' in done.stderr) == (1, True), done
        cursor.execute('SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()')
        assert cursor.fetchone()[0] == 0


@pytest.mark.parametrize('scheme', ['postgres', 'mysql'])
def test_a_host_that_answers_nothing_is_given_up(migrate, scheme):
    """As one does whose address is there no more: the queue of connections to be accepted is full."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(('127.0.0.1', port))
        done = migrate(f'{scheme}://root@127.0.0.1:{port}/none', connect_seconds=1)
        assert (done.returncode, 'cannot connect to the database' in done.stderr) == (1, True), done
        for each in waiting:
            each.close()
