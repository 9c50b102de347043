"""A holder that is stopped beyond its lease does no harm when it continues."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import uuid

import api
import drivers
import pytest
import waiting

HERE = pathlib.Path(__file__).resolve().parent
LEASE = 2


@contextlib.contextmanager
def holding(url, provider, consumer):
    """Starts a holder; gives its process and its ticket."""
    path = os.pathsep.join([str(HERE.parent / 'support'), *sys.path])
    process = subprocess.Popen(
        [sys.executable, HERE / 'holder.py', url, provider, consumer, str(LEASE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': path},
        preexec_fn=drivers.end_with_parent)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def has_waitlist(driver):
    if driver is drivers.UpstreamServer:
        pytest.skip('it has no waitlist')


def state(process):
    stat = pathlib.Path(f'/proc/{process.pid}/stat').read_text()
    return stat.rpartition(')')[2].split()[0]


def make_provider(client):
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    client('PUT', f'/resource_providers/{provider}/inventories', {
        'resource_provider_generation': 0,
        'inventories': {'VCPU': {'total': 10}}})
    return provider


def written(client, provider, consumer):
    """The answers that a write of an allocation changes."""
    path = f'/resource_providers/{provider}'
    return (client('GET', f'/allocations/{consumer}')['allocations'],
            client('GET', f'{path}/usages')['usages'],
            client('GET', path)['generation'])


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_stopped_holder(serve, driver, database):
    server = serve(driver)
    client = api.Api(server.url)
    provider = make_provider(client)
    consumer, other = str(uuid.uuid4()), str(uuid.uuid4())
    queue = f'/resource_providers/{provider}/waitlist'
    with holding(server.url, provider, consumer) as (holder, ticket):
        waiting.until(
            lambda: client('GET', f'{queue}/{ticket}')['generation'] > 1,
            'a renewal')
        holder.send_signal(signal.SIGSTOP)
        waiting.until(lambda: state(holder) == 'T', 'a holder that is stopped')
        mine = client('POST', queue, {
            'scope': 'host', 'id': 'move', 'lease_seconds': 600})
        assert mine['status'] == 'queued'
        mine = client('GET', f'{queue}/{mine["uuid"]}?wait=true&timeout=50')
        assert mine['status'] == 'active'
        assert state(holder) == 'T'
        before = written(client, provider, consumer)
        assert before == ({}, {'VCPU': 0}, 1)

        # It does not know that its time is over.
        holder.stdin.write('write\n')
        holder.stdin.flush()
        holder.send_signal(signal.SIGCONT)
        assert json.loads(holder.stdout.readline()) == [
            409, ['placement.waitlist.not_active']]
        assert written(client, provider, consumer) == before
        assert database.query('SELECT * FROM allocations') == []
        assert database.query('SELECT * FROM consumers') == []
        assert client('GET', f'{queue}/{ticket}')['status'] == 'expired'

    client('PUT', f'/allocations/{other}', {
        'allocations': {provider: {'resources': {'VCPU': 2}}},
        'project_id': 'project', 'user_id': 'user',
        'consumer_generation': None, 'consumer_type': 'INSTANCE'})
    assert written(client, provider, other) == (
        {provider: {'resources': {'VCPU': 2}, 'generation': 2}}, {'VCPU': 2}, 2)
    assert client('GET', f'{queue}/{mine["uuid"]}')['status'] == 'active'


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_holder_in_time(serve, driver, database):
    """The same holder writes if it is not stopped."""
    server = serve(driver)
    client = api.Api(server.url)
    provider, consumer = make_provider(client), str(uuid.uuid4())
    with holding(server.url, provider, consumer) as (holder, ticket):
        path = f'/resource_providers/{provider}/waitlist/{ticket}'
        waiting.until(lambda: client('GET', path)['generation'] > 1, 'a renewal')
        holder.stdin.write('write\n')
        holder.stdin.flush()
        assert json.loads(holder.stdout.readline()) == [204, []]
    assert written(client, provider, consumer) == (
        {provider: {'resources': {'VCPU': 7}, 'generation': 2}}, {'VCPU': 7}, 2)
