"""The fixtures of the Python tests: a directory, a database and servers on it."""

import drivers
import databases
import pytest
import replicated  # noqa: F401 (a driver)


def pytest_addoption(parser):
    parser.addoption(
        '--driver', choices=drivers.DRIVERS, default='allotment',
        help='the server under test; "upstream" checks the tests themselves')


@pytest.fixture
def driver(request):
    return drivers.DRIVERS[request.config.getoption('--driver')]


@pytest.fixture
def database(request, tmp_path):
    """An empty database; tests choose its kind by indirect parameters."""
    made = databases.KINDS[request.param](
        f'test_{tmp_path.name}'.lower().replace('-', '_')[:60], tmp_path)
    made.create()
    yield made
    made.drop()


@pytest.fixture
def serve(tmp_path, database):
    """Returns a function that starts a server of a class on the database."""
    started = []

    def start(server_class):
        server = server_class(tmp_path, next(drivers.PORTS), database)
        # As upstream's own tests, and ours by default: admins may reshape.
        server.configure('oslo_policy', enforce_new_defaults=False)
        started.append(server)
        server.ensure_started()
        return server

    yield start
    for server in started:
        server.stop()
