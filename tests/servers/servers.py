#!/usr/bin/env python3
"""Database servers of our own, for tests: PostgreSQL, MariaDB, and a Galera cluster.

    servers.py run [--galera] -- COMMAND…   run a command with the servers up, end them after it
    servers.py up [--galera] [DIR]          start them, print their addresses, leave them running
    servers.py down [DIR]                   end what `up` left running

`--galera` adds a cluster of three nodes, which takes more memory and time than
the others: `run` starts it beside them, `up` starts it alone.

The servers listen on free ports of 127.0.0.1, keep their data in a new
temporary directory and run as an unprivileged user; servers that the system
runs are never touched. Commands find them through the environment
variables that `up` prints as shell assignments. A variable that is set already
names the server to use: `run` starts those alone whose variable is not set.

Data is not synced to disk: the tests kill allotment, not the database.
Only Python's standard library is needed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from database_server import LIBC, MAX_CONNECTIONS, PR_SET_PDEATHSIG, STOP_TIMEOUT, Server, ServersError, find_program
import galera

PROJECT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_STATE = PROJECT / 'target' / 'test-servers'


class PostgreSql(Server):
    name = 'postgresql'
    variable = 'ALLOTMENT_TEST_POSTGRES_URL'
    users = ('postgres',)
    # "Fast shutdown": does not wait for clients to leave.
    stop_signal = signal.SIGINT
    directories = ('/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin')

    def prepare(self):
        self.initialise([
            find_program('initdb', *self.directories), '--no-sync',
            '-D', str(self.directory / 'data'), '-U', 'postgres',
            '--auth=trust', '--encoding=UTF8', '--locale=C'])

    def command(self):
        return [find_program('postgres', *self.directories),
                '-D', str(self.directory / 'data'), '-p', str(self.port),
                '-h', '127.0.0.1', '-k', str(self.directory),
                '-c', f'max_connections={MAX_CONNECTIONS}',
                '-c', 'fsync=off', '-c', 'full_page_writes=off',
                '-c', 'synchronous_commit=off']

    def ping(self):
        return [find_program('pg_isready', *self.directories), '-q',
                '-h', '127.0.0.1', '-p', str(self.port)]

    def assignment(self):
        return self.variable, f'postgres://postgres@127.0.0.1:{self.port}/postgres'


class MariaDb(Server):
    name = 'mariadb'
    variable = 'ALLOTMENT_TEST_MYSQL_URL'
    users = ('mysql',)

    def prepare(self):
        self.initialise([
            find_program('mariadb-install-db'), '--no-defaults',
            f'--datadir={self.directory / "data"}', '--skip-test-db',
            '--auth-root-authentication-method=normal'])

    def command(self):
        # --no-defaults keeps the system's own configuration out, so that
        # Debian's character set has to be given.
        return [find_program('mariadbd', '/usr/sbin', '/usr/libexec'),
                '--no-defaults', f'--datadir={self.directory / "data"}',
                f'--socket={self.directory / "socket"}',
                f'--pid-file={self.directory / "pid"}',
                '--bind-address=127.0.0.1', f'--port={self.port}',
                f'--max-connections={MAX_CONNECTIONS}',
                '--character-set-server=utf8mb4',
                '--collation-server=utf8mb4_general_ci',
                '--innodb-flush-log-at-trx-commit=0', '--sync-frm=0',
                '--skip-innodb-doublewrite']

    def ping(self):
        return [find_program('mariadb-admin'), '--no-defaults',
                '--protocol=tcp', '-h127.0.0.1', f'-P{self.port}', '-uroot',
                'ping']

    def assignment(self):
        return self.variable, f'mysql://root@127.0.0.1:{self.port}/'


class Servers:
    """Servers of these kinds and their temporary directory."""

    def __init__(self, kinds, detached=False):
        # In the system's temporary directory, not in the project: its user
        # might have no access to that, and socket paths must be short.
        self.base = tempfile.mkdtemp(prefix='allotment-db-')
        os.chmod(self.base, 0o755)
        self.kinds = kinds
        self.servers = []
        self.detached = detached

    def start(self):
        for kind in self.kinds:
            server = kind(self.base, self.detached)
            self.servers.append(server)
            server.start()
        for server in self.servers:
            server.wait_until_ready()

    def stop(self):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def assignments(self):
        return dict(server.assignment() for server in self.servers)


def run(command, with_galera):
    """Run a command with servers; returns its exit code."""
    kinds = [PostgreSql, MariaDb] + ([galera.Cluster] if with_galera else [])
    kinds = [kind for kind in kinds if kind.variable not in os.environ]
    if not kinds:
        os.execvp(command[0], command)
    # Also when something before us in a pipe or script ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    servers = Servers(kinds)
    child = None
    try:
        servers.start()
        # A process group of its own, so that all of it can be ended.
        child = subprocess.Popen(
            command, env={**os.environ, **servers.assignments()},
            stdin=subprocess.DEVNULL, preexec_fn=lead_group)
        code = child.wait()
        return 128 - code if code < 0 else code
    except KeyboardInterrupt:
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if child is not None:
            end_group(child)
        servers.stop()


def lead_group():
    os.setpgid(0, 0)
    # Ignored where we run in the background of a script, which tests of signals do not expect.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def end_group(child):
    """End a command and all that it left running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def up(state, with_galera):
    state.mkdir(parents=True, exist_ok=True)
    record = state / ('galera.json' if with_galera else 'running.json')
    if record.exists():
        running = json.loads(record.read_text())
        if all(start_time(process['pid']) == process['started']
               for process in running['processes']):
            print_assignments(running['assignments'])
            return
        # One of them has ended, with the machine perhaps: begin anew.
        take_down(record)
    servers = Servers([galera.Cluster] if with_galera else [PostgreSql, MariaDb], detached=True)
    try:
        servers.start()
        record.write_text(json.dumps({
            'base': servers.base, 'assignments': servers.assignments(),
            'processes': [{'pid': server.process.pid,
                           'started': start_time(server.process.pid),
                           'signal': int(server.stop_signal)}
                          for each in servers.servers for server in each.members()]}))
    except BaseException:
        servers.stop()
        raise
    print_assignments(servers.assignments())


def down(state):
    for record in state.glob('*.json'):
        take_down(record)


def take_down(record):
    running = json.loads(record.read_text())
    for process in running['processes']:
        end(process)
    shutil.rmtree(running['base'], ignore_errors=True)
    record.unlink()


def end(process):
    """End a recorded process, unless another one now has its number."""
    pid = process['pid']
    deadline = time.monotonic() + STOP_TIMEOUT
    number = process['signal']
    while start_time(pid) == process['started']:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        # Once is enough for the orderly signal; 0 only asks.
        number = 0 if time.monotonic() < deadline else signal.SIGKILL
        time.sleep(0.1)


def start_time(pid):
    """When a process started, in the kernel's ticks; None if it is gone."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    state, *fields = fields.rpartition(')')[2].split()
    return None if state == 'Z' else fields[18]


def print_assignments(assignments):
    for name, value in assignments.items():
        print(f'export {name}={value}')


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest='action', required=True)
    runner = actions.add_parser('run')
    starter = actions.add_parser('up')
    for action in (runner, starter):
        action.add_argument('--galera', action='store_true')
    for action in (starter, actions.add_parser('down')):
        action.add_argument('state', nargs='?', type=pathlib.Path, default=DEFAULT_STATE)
    runner.add_argument('command', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    try:
        if args.action == 'run':
            command = args.command
            if command[:1] == ['--']:
                command = command[1:]
            if not command:
                parser.error('run needs a command')
            sys.exit(run(command, args.galera))
        if args.action == 'up':
            up(args.state, args.galera)
        else:
            down(args.state)
    except ServersError as error:
        sys.exit(f'servers.py: {error}')


if __name__ == '__main__':
    main()
