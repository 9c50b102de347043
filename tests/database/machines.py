"""Database servers of the suite's own, started when a test wants it."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'servers'))
import servers  # noqa: E402

PostgreSql, MariaDb = servers.PostgreSql, servers.MariaDb


@contextlib.contextmanager
def made(kind, options=(), keys=None):
    """A server, not started yet, with more options than the shared ones have, and with a certificate of its own."""
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
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def started(*arguments):
    """The same, started."""
    with made(*arguments) as server:
        server.start()
        server.wait_until_ready()
        yield server


class PgBouncer(servers.Server):
    """A pooler of transactions in front of a PostgreSQL; it believes its clients."""

    name = 'pgbouncer'
    users = ('postgres',)

    def __init__(self, base, detached=False):
        super().__init__(base, detached)
        self.postgresql = None

    def prepare(self):
        (self.directory / 'users').write_text('"postgres" ""\n')
        (self.directory / 'settings').write_text(f"""
[databases]
* = host=127.0.0.1 port={self.postgresql.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self.directory}/users
pool_mode = transaction
default_pool_size = 4
""")
        for file in ('users', 'settings'):
            os.chmod(self.directory / file, 0o644)

    def command(self):
        return [servers.find_program('pgbouncer', '/usr/sbin'), str(self.directory / 'settings')]

    def ping(self):
        return [servers.find_program('pg_isready', *PostgreSql.directories), '-q',
                '-h', '127.0.0.1', '-p', str(self.port)]
