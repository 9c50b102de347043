"""Database servers of the suite's own, which its tests may hurt or give certificates."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import certificates
import drivers
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'servers'))
import servers  # noqa: E402


@pytest.fixture(scope='session')
def keys(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp('keys'))


@contextlib.contextmanager
def started(kind, options=(), keys=None):
    """A server with more options than the shared ones have, and with a certificate of its own."""
    # Not among pytest's directories, to which the server's user has no access.
    base = tempfile.mkdtemp(prefix='allotment-db-')
    os.chmod(base, 0o755)
    server = kind(base, detached=False)
    for file in (keys.certificate, keys.key) if keys else ():
        copy = shutil.copy(file, server.directory)
        os.chmod(copy, 0o600)
        if server.user:
            os.chown(copy, server.user.pw_uid, server.user.pw_gid)
    plain = server.command
    server.command = lambda: [*plain(), *(option.format(directory=server.directory) for option in options)]
    try:
        server.start()
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope='session')
def mariadb():
    """A MariaDB without TLS."""
    with started(servers.MariaDb, ['--skip-ssl']) as server:
        yield server


@pytest.fixture(scope='session')
def mariadb_with_tls(keys):
    options = ['--ssl-cert={directory}/server.pem', '--ssl-key={directory}/server.key']
    with started(servers.MariaDb, options, keys) as server:
        yield server


@pytest.fixture(scope='session')
def postgresql():
    """A PostgreSQL without TLS."""
    with started(servers.PostgreSql) as server:
        yield server


@pytest.fixture(scope='session')
def postgresql_with_tls(keys):
    options = ['-c', 'ssl=on', '-c', 'ssl_cert_file={directory}/server.pem', '-c', 'ssl_key_file={directory}/server.key']
    with started(servers.PostgreSql, options, keys) as server:
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
