#!/usr/bin/env python3
"""A PostgreSQL and a MariaDB server of our own, for tests.

    servers.py run -- COMMAND…   run a command with both servers up, end them after it
    servers.py up [DIR]          start both, print their addresses, leave them running
    servers.py down [DIR]        end what `up` left running

The servers listen on free ports of 127.0.0.1, keep their data in a new
temporary directory and run as an unprivileged user; servers that the system
runs are never touched. Commands find them through the two environment
variables that `up` prints as shell assignments. Where both are set already,
`run` starts nothing and uses the servers they name.

Data is not synced to disk: the tests kill allotment, not the database.
Only Python's standard library is needed.
"""

import argparse
import contextlib
import ctypes
import glob
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_STATE = PROJECT / 'target' / 'test-servers'
POSTGRES_URL = 'ALLOTMENT_TEST_POSTGRES_URL'
MYSQL_URL = 'ALLOTMENT_TEST_MYSQL_URL'
MAX_CONNECTIONS = 500
START_TIMEOUT = 120
STOP_TIMEOUT = 30
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None, use_errno=True)


class ServersError(Exception):
    """The servers could not be set up; the message says why."""


def find_program(name, *directories):
    found = shutil.which(name)
    for directory in directories:
        for candidate in sorted(glob.glob(f'{directory}/{name}')):
            found = candidate
    if not found:
        raise ServersError(f'{name} is not installed (see tests/setup.sh)')
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def unprivileged_user(*names):
    """Whom a server is to run as: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in (*names, 'nobody'):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServersError('no unprivileged user to run database servers as')


class Server:
    """One database server in a directory of its own."""

    name = None
    users = ()
    # Ends the server at once, but in an orderly way.
    stop_signal = signal.SIGTERM

    def __init__(self, base, detached):
        self.directory = pathlib.Path(base) / self.name
        self.detached = detached
        self.user = unprivileged_user(*self.users)
        self.port = free_port()
        self.process = None
        self.directory.mkdir()
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)

    def drop_privileges(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def before_exec(self):
        os.setsid()
        self.drop_privileges()
        if not self.detached:
            # Even a parent that is killed outright takes its servers along.
            # After the change of user, which would cancel this.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def environment(self):
        return {'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C',
                'TZ': 'UTC', 'HOME': str(self.directory)}

    def initialise(self, command):
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment(),
            preexec_fn=self.drop_privileges, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise ServersError(f'{command[0]} failed:\n{done.stdout}')

    def start(self):
        self.prepare()
        self.launch()

    def launch(self):
        """Start on the data that is there, also again after `stop`."""
        with open(self.directory / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, env=self.environment(),
                preexec_fn=self.before_exec, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT)

    def wait_until_ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.answers():
                return
            time.sleep(0.1)
        log = (self.directory / 'log').read_text(errors='replace')
        raise ServersError(f'{self.name} did not start:\n{log[-4000:]}')

    def answers(self):
        return subprocess.run(
            self.ping(), env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ).returncode == 0

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class PostgreSql(Server):
    name = 'postgresql'
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
        return POSTGRES_URL, f'postgres://postgres@127.0.0.1:{self.port}/postgres'


class MariaDb(Server):
    name = 'mariadb'
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
        return MYSQL_URL, f'mysql://root@127.0.0.1:{self.port}/'


class Servers:
    """Both servers and their temporary directory."""

    def __init__(self, detached=False):
        # In the system's temporary directory, not in the project: its user
        # might have no access to that, and socket paths must be short.
        self.base = tempfile.mkdtemp(prefix='allotment-db-')
        os.chmod(self.base, 0o755)
        self.servers = []
        self.detached = detached

    def start(self):
        for kind in (PostgreSql, MariaDb):
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


def run(command):
    """Run a command with servers; returns its exit code."""
    if POSTGRES_URL in os.environ and MYSQL_URL in os.environ:
        os.execvp(command[0], command)
    # Also when something before us in a pipe or script ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    servers = Servers()
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


def up(state):
    state.mkdir(parents=True, exist_ok=True)
    record = state / 'running.json'
    if record.exists():
        running = json.loads(record.read_text())
        if all(start_time(process['pid']) == process['started']
               for process in running['processes']):
            print_assignments(running['assignments'])
            return 0
        # One of them has ended, with the machine perhaps: begin anew.
        down(state)
    servers = Servers(detached=True)
    try:
        servers.start()
        record.write_text(json.dumps({
            'base': servers.base, 'assignments': servers.assignments(),
            'processes': [{'pid': server.process.pid,
                           'started': start_time(server.process.pid),
                           'signal': int(server.stop_signal)}
                          for server in servers.servers]}))
    except BaseException:
        servers.stop()
        raise
    print_assignments(servers.assignments())
    return 0


def down(state):
    record = state / 'running.json'
    if not record.exists():
        return 0
    running = json.loads(record.read_text())
    for process in running['processes']:
        end(process)
    shutil.rmtree(running['base'], ignore_errors=True)
    record.unlink()
    return 0


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
    runner.add_argument('command', nargs=argparse.REMAINDER)
    for name in ('up', 'down'):
        actions.add_parser(name).add_argument(
            'state', nargs='?', type=pathlib.Path, default=DEFAULT_STATE)
    args = parser.parse_args()
    try:
        if args.action == 'run':
            command = args.command
            if command[:1] == ['--']:
                command = command[1:]
            if not command:
                parser.error('run needs a command')
            sys.exit(run(command))
        sys.exit({'up': up, 'down': down}[args.action](args.state))
    except ServersError as error:
        sys.exit(f'servers.py: {error}')


if __name__ == '__main__':
    main()
