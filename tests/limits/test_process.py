"""The process under its manager: signals, what the manager is told, how many files it may have open."""

import contextlib
import re
import resource
import signal
import socket

import drivers
import httpx
import pytest
import service as services
from service import GET, await_true

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


class Limited(services.Service):
    """A service that a shell starts under limits of its own."""

    shell = ':'

    def command(self):
        return ['sh', '-c', f'{self.shell}; exec "$0" "$@"', *map(str, super().command())]


@pytest.fixture
def limited(tmp_path, database):
    made = []

    def start(shell, **tables):
        server = Limited(tmp_path, next(drivers.PORTS), database, tables)
        server.shell = shell
        made.append(server)
        server.ensure_started()
        return server

    yield start
    for server in made:
        server.stop()


def crowd(server, count):
    """Connections that had an answer, and are idle."""
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        connection.send(GET)
        assert connection.read_answer()[0] == 200
    return connections


def test_the_soft_limit_of_open_files_is_raised(limited):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1_000:
        pytest.skip('the hard limit is too low')
    server = limited('ulimit -S -n 200', limits={'keep_alive_seconds': 600})
    connections = crowd(server, 260)
    assert httpx.get(server.url + '/', trust_env=False).status_code == 200
    for connection in connections:
        connection.close()


def test_connections_fit_under_the_hard_limit_of_open_files(limited):
    server = limited('ulimit -n 400', workers=2, limits={'keep_alive_seconds': 1})
    lowered = re.search(r'limits.connections is (\d+) instead of 25000 for each worker', server.log())
    assert lowered and 20 < int(lowered[1]) < 200
    # There are more connections than the limit, and more than files. A new connection takes the place of an
    # idle one whose time is over.
    connections = [server.connect() for _ in range(450)]
    for connection in connections:
        connection.send(GET)
    for connection in connections:
        assert connection.read_answer()[0] == 200
    assert 'Too many open files' not in server.log()
    # A lowered limit does not count as a changed setting.
    server.process.send_signal(signal.SIGHUP)
    server.await_log('SIGHUP: policy')
    assert 'for the next start only' not in server.log()


def states(received):
    """The notifications to the manager, one in each line."""
    lines = []
    with contextlib.suppress(BlockingIOError):
        while True:
            lines += received.recv(4096).decode().splitlines()
    return lines


def test_the_manager_is_told(tmp_path, service, monkeypatch):
    received = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    received.bind(str(tmp_path / 'notify'))
    received.setblocking(False)
    monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'notify'))
    server = service()
    told = []

    def await_told(*expected):
        def is_told():
            told.extend(states(received))
            return [line.partition('=')[0] for line in told] == list(expected)
        await_true(is_told, f'not {expected}')
    await_told('READY')
    server.process.send_signal(signal.SIGHUP)
    await_told('READY', 'RELOADING', 'MONOTONIC_USEC', 'READY')
    assert int(told[2].partition('=')[2]) > 0
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(services.PATIENCE) == 0
    told.extend(states(received))
    assert told[4:] and set(told[4:]) == {'STOPPING=1'}


def test_a_sighup_while_it_starts_ends_nothing(tmp_path, database):
    """The first line on the log comes before the database is opened."""
    server = services.Service(tmp_path, next(drivers.PORTS), database, {})
    server._wait_until_ready = lambda: None
    server.ensure_started()
    try:
        await_true(lambda: server.log() or server.process.poll() is not None, 'nothing is logged')
        for _ in range(50):
            server.process.send_signal(signal.SIGHUP)
        server.await_log('listening on')
        # The SIGHUP is obeyed once the service has started.
        server.await_log('SIGHUP: policy, certificate and settings of the log are read again')
        assert server.process.poll() is None
    finally:
        server.stop()
