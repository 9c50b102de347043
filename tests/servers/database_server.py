"""A database server of our own: its directory, its user, its port, its process.

Only Python's standard library is needed.
"""

import contextlib
import ctypes
import glob
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time

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


def ports():
    """Free ports, each given out once.

    They lie below the range that outgoing connections take, so that a server
    finds its port free when it starts again.
    """
    port = random.randrange(10000, 19000)
    while True:
        port += 1
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        yield port


PORTS = ports()


def free_port():
    return next(PORTS)


def unprivileged_user(*names):
    """The user that runs a server: our own user, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in (*names, 'nobody'):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServersError('no unprivileged user to run database servers as')


class Server:
    """One database server in a directory of its own."""

    name = None
    # The environment variable with the server's address.
    variable = None
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

    def members(self):
        """The servers of which this consists; a cluster has several."""
        return [self]

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
