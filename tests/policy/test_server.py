"""The server obeys its policy file, and follows it as it changes."""

import os
import re
import signal
import subprocess
import time

import drivers
import httpx
import pytest

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

# How long a change may take to be noticed; far more than it should.
PATIENCE = 60


class Policied:
    """A server with a policy file."""

    def __init__(self, directory, port, database):
        self.server = drivers.AllotmentServer(directory, port, database)
        self.server.configure('oslo_policy', enforce_new_defaults=True)
        self.file = directory / 'policy.yaml'

    def start(self, rules):
        self.server.set_policy_rules(rules)
        self.server.ensure_started()

    def get(self, path, token='someone', **headers):
        return httpx.get(self.server.url + path, trust_env=False, headers={
            'x-auth-token': token, 'openstack-api-version': 'placement 1.39', **headers})

    def traits(self, **headers):
        return self.get('/traits', **headers).status_code

    def await_traits(self, status):
        deadline = time.monotonic() + PATIENCE
        while self.traits() != status:
            assert time.monotonic() < deadline, f'still not {status}'
            time.sleep(0.1)

    def log(self):
        return (self.server.workdir / 'server.log').read_text()

    def await_log(self, words, count=1):
        """Waits for words on the log, and sends no request meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while self.log().count(words) < count:
            assert time.monotonic() < deadline, f'not logged: {words}'
            time.sleep(0.1)


@pytest.fixture
def policied(tmp_path, database):
    made = Policied(tmp_path, next(drivers.PORTS), database)
    yield made
    made.server.stop()


def test_a_change_is_picked_up_and_a_broken_one_is_not(policied):
    policied.start({'placement:traits:list': 'role:reader'})
    assert policied.traits() == 403
    assert policied.traits(**{'x-roles': 'reader'}) == 200
    policied.file.write_text('"placement:traits:list": "@"\n')
    policied.await_traits(200)
    policied.file.write_text('\n"placement:traits:list": "role"\n')
    policied.await_log('policy.yaml:2: placement:traits:list: "role" is no check')
    assert policied.traits() == 200
    policied.file.write_text('"placement:traits:list": "!"\n')
    policied.await_traits(403)
    assert policied.traits(token='admin') == 403


def test_a_change_is_in_force_without_a_request(policied):
    """The first request after a change, however much later, meets the new rules."""
    policied.start({'placement:traits:list': '@'})
    policied.file.write_text('"placement:traits:list": "!"\n')
    policied.await_log('the policy is read again')
    assert policied.traits() == 403
    # A file that takes the place of another, as old and as long as that.
    before = policied.file.stat()
    other = policied.file.with_name('other.yaml')
    other.write_text('"placement:traits:list": "@"\n')
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert other.stat().st_size == before.st_size
    other.rename(policied.file)
    policied.await_log('the policy is read again', 2)
    assert policied.traits() == 200


def test_a_broken_change_is_told_once(policied):
    policied.start({'placement:traits:list': '@'})
    policied.file.write_text('"placement:traits:list": "role"\n')
    policied.await_log('the policy of before stays in force')
    # The file is looked at again and again by the time that this one is taken over.
    policied.file.write_text('"placement:traits:list": "!"\n')
    policied.await_log('the policy is read again')
    assert policied.log().count('the policy of before stays in force') == 1
    policied.file.unlink()
    policied.await_log('the policy of before stays in force', 2)
    assert policied.traits() == 403


def test_a_hangup_has_the_file_read(policied):
    policied.start({'placement:traits:list': '@'})
    policied.file.write_text('"placement:traits:list": "!"\n')
    policied.server.process.send_signal(signal.SIGHUP)
    policied.await_log('the policy is read again')
    assert policied.traits() == 403


def test_a_bad_file_stops_the_start(policied):
    with pytest.raises(drivers.ServerError, match=r'exited with 2[^0-9](.|\n)*policy.yaml:2: no: "x" is no check'):
        policied.start({'first': '@', 'no': 'x', 'zero': '!'})


def test_each_refusal_is_a_line_in_the_log(policied):
    policied.start({'placement:traits:list': 'role:curator and rule:nowhere'})
    assert 'line 1: placement:traits:list: there is no rule "nowhere"' in policied.log()
    refused = [
        (policied.get('/traits'), 'placement:traits:list ((role:curator and rule:nowhere)), which the roles []'),
        (policied.get('/traits', 'admin', **{'openstack-system-scope': 'all'}), 'not for tokens of System scope'),
        (policied.get('/usages?project_id=p', 'fred:q', **{'x-roles': 'reader'}),
         'placement:usages (rule:admin_or_project_reader_or_service_api), which the roles ["reader"]'),
        (httpx.get(policied.server.url + '/traits', trust_env=False), 'it has no token'),
    ]
    for response, words in refused:
        assert response.status_code in (401, 403)
        identity = response.headers['x-openstack-request-id']
        lines = [line for line in policied.log().splitlines()
                 if re.search(rf'allotment::policy\S* {identity}: refused', line)]
        assert len(lines) == 1 and words in lines[0], (lines, words)
    assert policied.get('/usages?project_id=p', 'fred:p', **{'x-roles': 'reader'}).status_code == 200
    assert policied.log().count(': refused') == len(refused)


def test_a_bad_file_is_no_reason_not_to_migrate(tmp_path, database):
    (tmp_path / 'policy.yaml').write_text('nonsense\n')
    done = subprocess.run(
        [drivers.binary(), 'migrate', '--database', database.url], capture_output=True, text=True,
        env={**drivers.environment(), 'ALLOTMENT_POLICY__FILE': str(tmp_path / 'policy.yaml')})
    assert done.returncode == 0, done.stderr
