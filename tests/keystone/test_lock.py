"""`allotment lock` beside Keystone: jobs that outlive their tokens, and a day of such jobs in a minute."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import drivers
import httpx
import keystone_server
import pytest
from harm import Proxy, children
from waiting import until

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

LOG_IN = 'POST /v3/auth/tokens'
# A token lives for so many seconds.
LIFE = 4
PRINT_TOKEN = '''
import httpx, sys
user = {'name': 'boss', 'domain': {'id': 'default'}, 'password': sys.argv[2]}
scope = {'project': {'name': 'lab', 'domain': {'id': 'default'}}}
identity = {'methods': ['password'], 'password': {'user': user}}
answer = httpx.post(f'{sys.argv[1]}/v3/auth/tokens', json={'auth': {'identity': identity, 'scope': scope}},
                    timeout=60, trust_env=False)
print(answer.headers['x-subject-token'])
'''


@pytest.fixture(scope='module')
def brief(keystone):
    """A Keystone whose tokens live for some seconds."""
    return keystone.beside('brief', expiration=LIFE)


def by_password(keystone, name='boss'):
    """The variables that log a user in."""
    return {'OS_AUTH_URL': f'{keystone.url}/v3', 'OS_USERNAME': name, 'OS_PASSWORD': keystone_server.PASSWORD,
            'OS_USER_DOMAIN_NAME': 'Default', 'OS_PROJECT_NAME': 'lab', 'OS_PROJECT_DOMAIN_ID': 'default'}


class Jobs:
    """Runs of `allotment lock` on one queue; the scripts find their directory in $D."""

    def __init__(self, server, directory, token):
        self.server = server
        self.directory = pathlib.Path(directory)
        self.token = token
        answer = httpx.post(f'{server.url}/resource_providers', json={'name': 'host'}, trust_env=False,
                            timeout=60, headers={'x-auth-token': token,
                                                 'openstack-api-version': 'placement 1.39'})
        assert answer.status_code == 200, answer.text
        self.provider = answer.json()['uuid']
        self.running = []

    def start(self, name, variables, *options, url=None, script=''):
        """A job that goes on until there is a file of its name, and writes its fence again and again.

        After SIGTERM the job goes on for two seconds, as one that ends in good order.
        """
        work = (f'over= n=0; trap over=1 TERM; while [ ! -e $D/{name} ]; do echo $ALLOTMENT_FENCE >> $D/log; '
                'sleep 0.05; [ -z "$over" ] || [ $((n += 1)) -lt 40 ] || exit; done')
        where = ['--url', url or self.server.url] if url != '' else []
        command = [drivers.binary(), 'lock', *where, '--provider', self.provider, '--scope', 'vm',
                   '--id', 'one', *options, '--', 'sh', '-c', script or work]
        log = (self.directory / f'{name}.err').open('w')
        job = subprocess.Popen(command, env={**drivers.environment(), **variables, 'D': str(self.directory)},
                               stdout=subprocess.DEVNULL, stderr=log, preexec_fn=drivers.end_with_parent)
        self.running.append(job)
        return job

    def finish(self, name):
        (self.directory / name).touch()

    def said(self, name):
        return (self.directory / f'{name}.err').read_text()

    def fences(self):
        """The fences of those who worked, in the order in which they did."""
        path = self.directory / 'log'
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def workers(self):
        return len(set(self.fences()))

    def live(self):
        # The token of a test of a minute lives for an hour.
        return self.server.ask(f'/resource_providers/{self.provider}/waitlist', self.token).json()['tickets']


@pytest.fixture
def jobs(placement, keystone, cloud, tmp_path):
    """Jobs on a server that asks Keystone about each request."""
    made = Jobs(placement(cache_seconds=0), tmp_path, keystone.token('boss', project='lab'))
    yield made
    for job in made.running:
        job.kill()
        job.wait()


@pytest.mark.parametrize('way', ['password', 'application_credential', 'command'])
def test_a_job_outlives_its_tokens(jobs, keystone, brief, cloud, way):
    options, variables = [], by_password(brief)
    if way == 'password':
        # This token stands for one that has ended.
        variables['OS_TOKEN'] = 'garbage'
    elif way == 'application_credential':
        made = keystone.application_credential(cloud.users['boss'], keystone.token('boss', project='lab'))
        variables = {'OS_AUTH_URL': brief.url, 'OS_AUTH_TYPE': 'v3applicationcredential',
                     'OS_APPLICATION_CREDENTIAL_ID': made['id'],
                     'OS_APPLICATION_CREDENTIAL_SECRET': made['secret']}
    else:
        variables = {}
        program = jobs.directory / 'print_token.py'
        program.write_text(PRINT_TOKEN)
        options = ['--token-command', f'{sys.executable} {program} {brief.url} {keystone_server.PASSWORD}']
    before = brief.requests().count(LOG_IN)
    job = jobs.start('job', variables, '--lease', '15s', *options)
    until(lambda: brief.requests().count(LOG_IN) >= before + 4 or job.poll() is not None, 'four tokens')
    jobs.finish('job')
    assert job.wait(60) == 0, jobs.said('job')
    assert jobs.said('job') == ''
    assert jobs.live() == []


def test_the_service_is_found_in_the_catalog(jobs, keystone, brief):
    with keystone.placement_at(jobs.server.url):
        job = jobs.start('job', by_password(brief), url='', script='exit 7')
        assert job.wait(60) == 7, jobs.said('job')
        job = jobs.start('job', {**by_password(brief), 'OS_REGION_NAME': 'nowhere'}, url='', script='exit 7')
        assert job.wait(60) == 125
    assert 'OS_REGION_NAME' in jobs.said('job')


def test_credentials_that_are_refused_are_not_tried_on_and_on(jobs, keystone, brief, cloud):
    user = keystone.user('leaver', 'admin', on=f'projects/{cloud.lab}')
    job = jobs.start('job', by_password(brief, 'leaver'), '--lease', '12s')
    until(jobs.fences, 'work')
    keystone('PATCH', f'/users/{user}', {'user': {'password': 'another'}})
    before = brief.requests().count(LOG_IN)
    assert job.wait(60) == 76
    assert 'Keystone refuses the credentials' in jobs.said('job')
    assert keystone_server.PASSWORD not in jobs.said('job')
    assert brief.requests().count(LOG_IN) <= before + 3
    # A lock that begins with them is told at once.
    job = jobs.start('other', by_password(brief, 'leaver'))
    assert job.wait(60) == 125
    assert 'Keystone refuses the credentials' in jobs.said('other')


@contextlib.contextmanager
def suspended(job):
    """A host that is suspended. When it wakes, what watches over the command wakes first."""
    def is_guard(pid):
        return b'lock-guard' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()

    ours = children(job.pid)
    guard, = filter(is_guard, ours)
    command, = (pid for pid in ours if pid != guard)
    os.kill(guard, signal.SIGSTOP)
    os.kill(job.pid, signal.SIGSTOP)
    os.killpg(command, signal.SIGSTOP)
    yield
    os.kill(job.pid, signal.SIGCONT)
    until(lambda: job.poll() is not None, 'the end of a job whose lease is over')
    os.kill(guard, signal.SIGCONT)
    # This has no effect unless a process was left.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command, signal.SIGCONT)


def test_a_day_of_jobs_in_a_minute(jobs, brief):
    """A job of ten token lifetimes, three cuts of the network, a suspended host: never two at once."""
    network = Proxy(jobs.server.port)
    through = f'http://127.0.0.1:{network.port}'
    token = {'OS_TOKEN': jobs.token}

    def tokens():
        return brief.requests().count(LOG_IN) - before

    before = brief.requests().count(LOG_IN)
    # A job whose tokens end, in a network that is cut, while others wait for their turns.
    long = jobs.start('long', by_password(brief), '--lease', '20s', url=through)
    until(jobs.fences, 'work')
    cut_off = jobs.start('cut_off', token, '--lease', '15s', url=through)
    until(lambda: len(jobs.live()) == 2, 'one who waits')
    asleep = jobs.start('asleep', token, '--lease', '10s')
    until(lambda: len(jobs.live()) == 3, 'another one who waits')
    # Each token is followed by the next at the earliest when a quarter of its time is left.
    until(lambda: tokens() >= 4, 'some tokens')
    network.cut()
    until(lambda: tokens() >= 8, 'more tokens')
    network.is_black_hole = True
    time.sleep(1)
    network.is_black_hole = False
    network.cut()
    until(lambda: tokens() >= 14, 'the tokens of ten lifetimes')
    assert jobs.workers() == 1, jobs.said('long')
    jobs.finish('long')
    assert long.wait(60) == 0, jobs.said('long')

    # The next one is cut off for longer than its lease.
    until(lambda: jobs.workers() == 2, 'the second one')
    network.is_black_hole = True
    until(lambda: jobs.workers() == 3, 'the third one')
    assert cut_off.wait(60) == 76, jobs.said('cut_off')
    network.is_black_hole = False
    network.close()

    # The host of the one after that is suspended, and wakes when others have had their turn.
    awake = jobs.start('awake', token, '--lease', '15s')
    until(lambda: len(jobs.live()) == 2, 'the fourth one')
    with suspended(asleep):
        until(lambda: jobs.workers() == 4, 'the fourth one at work')
        jobs.finish('awake')
        assert awake.wait(60) == 0, jobs.said('awake')
    assert asleep.returncode == 76, jobs.said('asleep')

    # The fence of the job that works is the highest: no job works after another one has begun.
    fences = jobs.fences()
    assert fences == sorted(fences)
    assert jobs.workers() == 4
    assert jobs.live() == []
