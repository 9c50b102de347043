"""Database servers that these tests may hurt, a database on one of them, a service on that."""

import json
import os
import pathlib
import shutil
import sys
import tempfile

import databases
import drivers
import harm
import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / 'servers'))

import servers  # noqa: E402

KINDS = {'postgres': (servers.PostgreSql, harm.PostgreSql), 'mysql': (servers.MariaDb, harm.MariaDb)}


class Service(drivers.AllotmentServer):
    """A service with settings of its own, by table."""

    def __init__(self, directory, database, tables):
        super().__init__(directory, next(drivers.PORTS), database)
        self.tables = tables

    def write_config(self, policy_file=None):
        tables = {**self.tables}
        tables['database'] = {'url': self.database.url, **tables.get('database', {})}
        lines = [f'listen = "127.0.0.1:{self.port}"']
        for name, table in tables.items():
            lines += [f'[{name}]', *(f'{key} = {json.dumps(value)}' for key, value in table.items())]
        (self.workdir / 'allotment.toml').write_text('\n'.join(lines) + '\n')

    def log(self):
        return (self.workdir / 'server.log').read_text()


@pytest.fixture(scope='session')
def started_servers():
    """Servers of this suite alone, by kind, started when first asked for."""
    # In the system's temporary directory, as in servers.py.
    base = tempfile.mkdtemp(prefix='allotment-outage-')
    os.chmod(base, 0o755)
    started = {}

    def get(kind):
        if kind not in started:
            server = KINDS[kind][0](base, detached=False)
            started[kind] = server
            server.start()
            server.wait_until_ready()
        return started[kind]

    yield get
    for server in started.values():
        server.stop()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(params=['postgres', 'mysql'])
def kind(request):
    return request.param


@pytest.fixture
def server(kind, started_servers, monkeypatch):
    """The server, and what can be done to it; it is in order again afterwards."""
    process = started_servers(kind)
    monkeypatch.setenv(*process.assignment())
    hurt = KINDS[kind][1](process)
    yield hurt
    hurt.heal()


@pytest.fixture
def database(kind, request, tmp_path):
    """An empty database, on the server that may be hurt unless it is SQLite's."""
    server = None if kind == 'sqlite' else request.getfixturevalue('server')
    made = databases.KINDS[kind](f'test_{tmp_path.name}'.lower().replace('-', '_')[:60], tmp_path)
    made.create()
    if server:
        server.database = made
    yield made
    if server:
        server.heal()
    made.drop()


@pytest.fixture
def proxy(server):
    """A network before the server, for the services that are led through it."""
    made = harm.Proxy(server.process.port)
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path, database):
    """Returns a function that starts a service, on the database or on what leads to it."""
    started = []

    def start(via=None, **tables):
        directory = tmp_path / f'service{len(started)}'
        directory.mkdir()
        service = Service(directory, via or database, tables)
        started.append(service)
        service.ensure_started()
        return service

    yield start
    for service in started:
        service.stop()
