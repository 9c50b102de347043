"""The servers that can be driven: how each is configured, launched, stopped.

A driver starts its server on first use, so that a fixture may go on changing
the configuration until it makes its first request.
"""

import collections
import ctypes
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import httpx
import yaml

HERE = pathlib.Path(__file__).resolve().parent
START_TIMEOUT = 60
STOP_TIMEOUT = 10
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None)


class ServerError(Exception):
    """The server under test could not be configured or started."""


def free_ports():
    """Free loopback ports, each given out once.

    They lie below the range that outgoing connections commonly use.
    """
    port = random.randrange(20000, 30000)
    while True:
        port += 1
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        yield port


PORTS = free_ports()


def binary():
    """The program under test."""
    if 'ALLOTMENT_BIN' not in os.environ:
        raise ServerError('ALLOTMENT_BIN is not set')
    return os.path.abspath(os.environ['ALLOTMENT_BIN'])


def environment():
    """Ours, without settings for a server that a developer may have."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(('ALLOTMENT_', 'OS_'))}


def end_with_parent():
    """Before exec: a test run that is killed outright leaves no server."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Server:
    """One server process with its own configuration, on a database."""

    # The variables that the server's environment has beside ours.
    extra_environment = {}

    def __init__(self, workdir, port, database):
        self.workdir = pathlib.Path(workdir).resolve()
        self.port = port
        self.url = f'http://127.0.0.1:{port}'
        self.process = None
        self.policy_rules = None
        self.settings = collections.defaultdict(dict)
        # Upstream runs its tests with oslo.policy's default for this.
        self.configure('oslo_policy', enforce_scope=True)
        self.database = database

    def configure(self, group, **values):
        """Set options, named as in upstream's configuration file."""
        self._must_not_run()
        self.settings[group].update(values)

    def set_policy_rules(self, rules):
        self._must_not_run()
        self.policy_rules = rules

    def ensure_started(self):
        if self.process is None:
            self._start()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def kill(self):
        """End the server as a power failure would: at once, unasked."""
        self.process.kill()
        self.process.wait()
        self.process = None

    # The methods that each driver provides.

    def write_config(self, policy_file):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    # Internals.

    def _must_not_run(self):
        if self.process is not None:
            raise ServerError('configuration changed after the server started')

    def _start(self):
        policy_file = None
        if self.policy_rules is not None:
            policy_file = self.workdir / 'policy.yaml'
            policy_file.write_text(yaml.safe_dump(self.policy_rules))
        self.write_config(policy_file)
        with open(self.workdir / 'server.log', 'ab') as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.workdir, stdin=subprocess.DEVNULL,
                env={**environment(), **self.extra_environment},
                stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent)
        self._wait_until_ready()

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(
                    f'the server exited with {self.process.returncode}:\n'
                    + self._log_tail())
            try:
                if httpx.get(self.url + '/').status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise ServerError(f'not ready in {START_TIMEOUT}s:\n'
                          + self._log_tail())

    def _log_tail(self):
        log = (self.workdir / 'server.log').read_text(errors='replace')
        return log[-4000:]


class UpstreamServer(Server):
    """Upstream Placement as installed, under waitress."""

    def write_config(self, policy_file):
        self.configure('api', auth_strategy='noauth2')
        self.configure('placement_database',
                       connection=self.database.sqlalchemy_url,
                       sync_on_startup=True)
        # A file that does not exist leaves the default policies in force.
        self.configure('oslo_policy', policy_file=str(
            policy_file or self.workdir / 'no-policy.yaml'))
        lines = []
        for group, options in self.settings.items():
            lines.append(f'[{group}]')
            for name, value in options.items():
                if isinstance(value, list):
                    value = ','.join(value)
                lines.append(f'{name} = {value}')
        (self.workdir / 'placement.conf').write_text('\n'.join(lines) + '\n')

    def command(self):
        return [sys.executable, HERE / 'serve_upstream.py', self.workdir,
                str(self.port)]


class AllotmentServer(Server):
    """The server of this project; tests/README.md holds the contract."""

    # Upstream option -> (table, key) in the server's TOML file.
    OPTIONS = {
        ('oslo_policy', 'enforce_new_defaults'):
            ('policy', 'enforce_new_defaults'),
        ('oslo_policy', 'enforce_scope'): ('policy', 'enforce_scope'),
        ('cors', 'allowed_origin'): ('cors', 'allowed_origins'),
        ('cors', 'allow_headers'): ('cors', 'allow_headers'),
        ('api', 'auth_strategy'): ('auth', 'strategy'),
        # The settings that upstream does not have.
        ('limits', 'candidate_visits'): ('limits', 'candidate_visits'),
        ('limits', 'candidate_bytes'): ('limits', 'candidate_bytes'),
        ('limits', 'candidate_seconds'): ('limits', 'candidate_seconds'),
        ('waitlist', 'cnapi_listen'): ('waitlist', 'cnapi_listen'),
    }

    def open_door(self):
        """Serve CNAPI's dialects without a token too; returns the URL at which."""
        address = f'127.0.0.1:{next(PORTS)}'
        self.configure('waitlist', cnapi_listen=address)
        return f'http://{address}'

    def write_config(self, policy_file):
        tables = collections.defaultdict(dict)
        tables['database']['url'] = self.database.url
        tables['auth']['strategy'] = 'noauth2'
        if policy_file:
            tables['policy']['file'] = str(policy_file)
        for group, options in self.settings.items():
            for name, value in options.items():
                if (group, name) not in self.OPTIONS:
                    raise ServerError(f'no equivalent for [{group}]{name}')
                table, key = self.OPTIONS[group, name]
                tables[table][key] = value
        lines = [f'listen = "127.0.0.1:{self.port}"']
        for table, values in tables.items():
            lines.append(f'\n[{table}]')
            # JSON's strings, booleans, numbers and lists are TOML's too.
            lines += [f'{key} = {json.dumps(value)}'
                      for key, value in values.items()]
        (self.workdir / 'allotment.toml').write_text('\n'.join(lines) + '\n')

    def command(self):
        return [binary(), 'serve', '--config', self.workdir / 'allotment.toml']


DRIVERS = {'upstream': UpstreamServer, 'allotment': AllotmentServer}
