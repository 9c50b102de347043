"""An older build of the service beside this one on one database. ALLOTMENT_OLD_BIN is the program of that build."""

import os
import socket
import subprocess
import threading
import time
import uuid

import balancer
import drivers
import service as services
from api import Api

OLD = os.environ.get('ALLOTMENT_OLD_BIN')

SPLIT = """
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 120s

frontend all
    bind 127.0.0.1:{port}
    use_backend reads if METH_GET
    default_backend writes

backend reads
    server reads 127.0.0.1:{reads}

backend writes
    server writes 127.0.0.1:{writes}
"""


class Older(services.Service):
    """The older build, with any settings that it knows."""

    def command(self):
        return [os.path.abspath(OLD), *super().command()[1:]]


class OlderServer(drivers.AllotmentServer):
    """The older build, configured as upstream's suite wants it."""

    def command(self):
        return [os.path.abspath(OLD), *super().command()[1:]]


class WithTriggers(drivers.AllotmentServer):
    """This build. Triggers tell it what the older build writes, and it compares nothing by itself."""

    def write_config(self, policy_file):
        super().write_config(policy_file)
        text = (self.workdir / 'allotment.toml').read_text()
        text = text.replace('[database]\n', '[database]\nforeign_writers = "triggers"\n')
        (self.workdir / 'allotment.toml').write_text(text + '\n[placement]\nrecheck_seconds = 3600\n')


class Split(drivers.AllotmentServer):
    """Both builds on one database: the older one gets all writes, and this one gets all reads."""

    members = ()
    front = None

    def _start(self):
        self.process = True
        self.members = []
        for name, kind in (('older', OlderServer), ('newer', WithTriggers)):
            directory = self.workdir / name
            directory.mkdir(exist_ok=True)
            member = kind(directory, next(drivers.PORTS), self.database)
            member.settings, member.policy_rules = self.settings, self.policy_rules
            self.members.append(member)
            member.ensure_started()
        older, newer = self.members
        file = self.workdir / 'haproxy.cfg'
        file.write_text(SPLIT.format(port=self.port, reads=newer.port, writes=older.port))
        with open(self.workdir / 'haproxy.log', 'ab') as log:
            self.front = subprocess.Popen(
                [balancer.PROGRAM, '-db', '-f', file], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=drivers.end_with_parent)
        deadline = time.monotonic() + drivers.START_TIMEOUT
        while not self.is_open():
            assert self.front.poll() is None and time.monotonic() < deadline, 'HAProxy does not start'
            time.sleep(0.02)

    def is_open(self):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', self.port)) == 0

    def stop(self):
        if self.front:
            self.front.kill()
            self.front.wait()
        for member in self.members:
            member.stop()
        self.process = self.front = None
        self.members = []

    def kill(self):
        for member in self.members:
            member.kill()
        self.stop()


class Beside(drivers.AllotmentServer):
    """The server under test, and the other build beside it on the database. The other build has clients of its own, which
    search, list and take turns. The suite expects that nobody else writes what it lists.
    """

    other_kind = OlderServer
    other = None

    def _start(self):
        super()._start()
        directory = self.workdir / 'other'
        directory.mkdir(exist_ok=True)
        self.other = self.other_kind(directory, next(drivers.PORTS), self.database)
        self.other.settings = {}
        self.other.ensure_started()
        self.is_over, self.wrong, self.answered = threading.Event(), [], 0
        self.worker = threading.Thread(target=self.work)
        self.worker.start()

    def work(self):
        client, is_over = Api(self.other.url), False
        while not is_over:
            for path in ('/resource_providers', '/allocation_candidates?resources=VCPU:1', '/traits', '/waitlist'):
                self.note(client.send('GET', path))
            made = client.send('POST', '/servers/default/tickets', {
                'scope': 'vm', 'id': str(uuid.uuid4()), 'expires_at': '2099-01-01T00:00:00Z'})
            self.note(made)
            if made.is_success:
                self.note(client.send('PUT', f'/tickets/{made.json()["uuid"]}/release'))
            is_over = self.is_over.wait(0.02)

    def note(self, answer):
        self.answered += 1
        if not answer.is_success:
            self.wrong.append(f'{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}')

    def stop(self):
        if self.other is not None:
            self.is_over.set()
            self.worker.join()
            self.other.stop()
            self.other = None
        super().stop()
        # The suite has no other way to tell of it.
        assert not self.wrong and self.answered, self.wrong[:5]


class NewerBeside(Beside, OlderServer):
    """The older build under test, and this one beside it."""

    other_kind = drivers.AllotmentServer


if OLD:
    drivers.DRIVERS['upgrade'] = Split
    drivers.DRIVERS['beside-older'] = Beside
    drivers.DRIVERS['older-beside'] = NewerBeside
    drivers.DRIVERS['older'] = OlderServer
