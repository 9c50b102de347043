"""HAProxy before replicas of the service, with the settings in contrib/."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import drivers

SETTINGS = pathlib.Path(__file__).resolve().parents[2] / 'contrib' / 'haproxy.cfg'
# Servers live where an unprivileged user does not look.
PROGRAM = shutil.which('haproxy', path=os.environ['PATH'] + ':/usr/sbin:/sbin')
GLOBAL = 'global\n    stats socket {socket} mode 600 level admin\n    log stderr format raw local0\n\n'


def settings(port, replicas, changes=()):
    """The file in contrib/ for these ports of replicas, with a few times changed."""
    text = SETTINGS.read_text()
    servers = '\n'.join(f'    server replica{number} 127.0.0.1:{each}' for number, each in enumerate(replicas, 1))
    changes = [(r'^    bind :8778$', f'    bind 127.0.0.1:{port}'),
               (r'^    server replica1 .*\n    server replica2 .*\n    server replica3 .*$', servers), *changes]
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.M)
        assert count == 1, f'{count} times in {SETTINGS}: {pattern}'
    return text


class Balancer:
    """One HAProxy."""

    def __init__(self, directory, replicas, changes=(), port=None):
        self.directory = pathlib.Path(directory)
        self.port = port or next(drivers.PORTS)
        self.url = f'http://127.0.0.1:{self.port}'
        # A path that is short enough for a socket.
        self.socket = pathlib.Path('/tmp') / f'allotment-balancer-{os.getpid()}-{self.port}'
        text = GLOBAL.format(socket=self.socket) + settings(self.port, replicas, changes)
        (self.directory / 'haproxy.cfg').write_text(text)
        self.process = None

    def start(self):
        with open(self.directory / 'haproxy.log', 'ab') as log:
            self.process = subprocess.Popen(
                [PROGRAM, '-db', '-f', self.directory / 'haproxy.cfg'], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=drivers.end_with_parent)
        deadline = time.monotonic() + drivers.START_TIMEOUT
        while not self.ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self):
        return (self.directory / 'haproxy.log').read_text()

    def command(self, words):
        """The answer of HAProxy to a command on its socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(words.encode() + b'\n')
            return b''.join(iter(lambda: connection.recv(65536), b'')).decode()

    def states(self):
        """The state of each replica: UP, or DOWN, or on the way from one to the other."""
        rows = [line.split(',') for line in self.command('show stat').splitlines()]
        columns = rows[0]
        return {row[1]: row[columns.index('status')] for row in rows if row[1:2] and row[1].startswith('replica')}

    def ready(self):
        """Whether requests can be sent: all replicas are in use."""
        try:
            return set(self.states().values()) == {'UP'}
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)
