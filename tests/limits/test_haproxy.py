"""The file contrib/haproxy.cfg, with replicas behind it."""

import pathlib
import re
import signal
import subprocess
import uuid

import balancer
import httpx
import load
import pytest
from api import Api
from service import await_true
from test_proxies import FORWARDED, ask, located, visit

pytestmark = pytest.mark.parametrize('database', ['postgres'], indirect=True)
DEBIAN = pathlib.Path('/etc/haproxy/haproxy.cfg')


@pytest.fixture
def balanced(service, tmp_path):
    """Returns a function that starts three replicas and HAProxy before them."""
    started = []

    def start(*changes):
        replicas = [service(trusted_proxies=['127.0.0.1'], placement={'recheck_seconds': 1},
                            limits={'drain_seconds': 5}) for _ in range(3)]
        made = balancer.Balancer(tmp_path, [replica.port for replica in replicas], changes)
        started.append(made)
        made.start()
        return made, replicas

    yield start
    for made in started:
        made.stop()


@pytest.mark.skipif(not DEBIAN.exists(), reason='not a Debian package of HAProxy')
def test_the_file_goes_behind_debians_own(tmp_path, database):
    joined = tmp_path / 'haproxy.cfg'
    joined.write_text(DEBIAN.read_text() + '\n' + balancer.SETTINGS.read_text())
    done = subprocess.run([balancer.PROGRAM, '-c', '-f', joined], capture_output=True, text=True)
    assert done.returncode == 0 and 'WARNING' not in done.stdout + done.stderr, done.stderr


def test_clients_see_one_service(balanced):
    front, replicas = balanced()
    client = Api(front.url)
    for _ in range(9):
        client('GET', '/traits?name=startswith:COMPUTE_NODE')
    # Each request on the one connection went to the next replica.
    assert [replica.log().count('"GET /traits') for replica in replicas] == [3, 3, 3]
    # Until all replicas read the same, one of them is asked for what another has written.
    visit(replicas[0].url, '')
    assert located(front) == front.url
    # A client's own words about itself do not count.
    headers = {**FORWARDED, 'x-forwarded-prefix': '/elsewhere', 'host': 'cloud.example.com:8778'}
    answer = ask(front.url + '/resource_providers', 'POST', {'name': uuid.uuid4().hex}, **headers)
    assert answer.headers['location'].startswith('http://cloud.example.com:8778/resource_providers/')
    await_true(lambda: sum(replica.log().count('127.0.0.1 "POST /resource_providers') for replica in replicas) >= 2,
               'the client is not in the log')
    assert not any('192.0.2.1' in replica.log() for replica in replicas)
    assert httpx.get(front.url + '/metrics', trust_env=False).status_code == 404


def take_ticket(client, provider):
    body = {'scope': 'host', 'id': 'work', 'lease_seconds': 600}
    path = f'/resource_providers/{provider}/waitlist'
    return path + '/' + client('POST', path, body)['uuid']


def waiters(replicas):
    """The requests that wait for a turn, at all replicas."""
    return sum(int(re.search(r'^allotment_waitlist_waiters (\d+)', ask(replica.url + '/metrics').text, re.M)[1])
               for replica in replicas)


def test_a_wait_outlives_the_other_times(balanced):
    changes = [(rf'^    timeout {name} .*$', f'    timeout {name} 1s') for name in ('client', 'server', 'http-keep-alive')]
    front, replicas = balanced(*changes)
    client = Api(front.url)
    provider = load.make_provider(Api(replicas[0].url))
    take_ticket(client, provider)
    queued = take_ticket(client, provider)
    answer = client.send('GET', f'{queued}?wait=true&timeout=4')
    assert (answer.status_code, answer.json()['status']) == (200, 'queued')

    # A client that hangs up waits no longer.
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(front.url + f'{queued}?wait=true&timeout=3000', timeout=2, trust_env=False,
                  headers={'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'})
    await_true(lambda: waiters(replicas) == 0, 'a replica waits for nobody')


def test_replicas_that_end_under_load(balanced, database):
    """No request notices a replica that is stopped, and no read notices a replica that is killed."""
    front, replicas = balanced()
    with load.Load(front.url, clients=4, may_be_cut=True) as crowd:
        for end in (replicas[1].stop, replicas[2].kill):
            crowd.await_answers()
            assert [crowd.refused(method) for method in ('GET', 'PUT', 'DELETE')] == [0, 0, 0]
            end()
            crowd.await_answers()
            await_true(lambda: not front.ready(), 'a replica that has gone is still in use')
            for replica in replicas:
                replica.ensure_started()
            await_true(front.ready, 'a replica that is back is not in use')
        crowd.await_answers()
    assert crowd.refused('GET') == 0
    crowd.check(database)


def test_a_replica_that_hangs_is_left_out(balanced):
    front, replicas = balanced()
    replicas[2].process.send_signal(signal.SIGSTOP)
    await_true(lambda: front.states()['replica3'] == 'DOWN', 'a replica that hangs is in use')
    for _ in range(6):
        ask(front.url + '/traits?name=startswith:COMPUTE_NODE')
    assert replicas[2].log().count('"GET /traits') == 0
    replicas[2].process.send_signal(signal.SIGCONT)
    await_true(front.ready, 'a replica that goes on is not in use')
    for replica in replicas:
        replica.stop()
    await_true(lambda: set(front.states().values()) == {'DOWN'}, 'replicas that have gone are in use')
    answer = ask(front.url + '/traits')
    assert (answer.status_code, answer.headers['retry-after']) == (503, '1')
    assert answer.json()['errors'][0]['detail'] == 'No replica of the service is ready.'
