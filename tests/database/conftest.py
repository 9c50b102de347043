"""The fixtures of the database's tests: servers of their own, with and without certificates."""

import subprocess

import certificates
import drivers
import pytest
from machines import MariaDb, PostgreSql, started


@pytest.fixture(scope='session')
def keys(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp('keys'))


@pytest.fixture(scope='session')
def mariadb():
    """A MariaDB without TLS."""
    with started(MariaDb, ['--skip-ssl']) as server:
        yield server


@pytest.fixture(scope='session')
def mariadb_with_tls(keys):
    options = ['--ssl-cert={directory}/server.pem', '--ssl-key={directory}/server.key']
    with started(MariaDb, options, keys) as server:
        yield server


@pytest.fixture(scope='session')
def postgresql():
    """A PostgreSQL without TLS."""
    with started(PostgreSql) as server:
        yield server


@pytest.fixture(scope='session')
def postgresql_with_tls(keys):
    options = ['-c', 'ssl=on', '-c', 'ssl_cert_file={directory}/server.pem', '-c', 'ssl_key_file={directory}/server.key']
    with started(PostgreSql, options, keys) as server:
        yield server


@pytest.fixture
def migrate(tmp_path):
    """Returns a function that runs `allotment migrate` on a URL."""
    def run(url, *arguments, **settings):
        config = tmp_path / 'migrate.toml'
        config.write_text('[database]\n' + ''.join(f'{key} = {value}\n' for key, value in settings.items()))
        return subprocess.run(
            [drivers.binary(), 'migrate', '--config', config, '--database', url, *arguments],
            env=drivers.environment(), capture_output=True, text=True, timeout=120)
    return run
