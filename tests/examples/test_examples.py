"""The examples do what they promise, many at once and in every language."""

import concurrent.futures
import json
import time
import uuid

import api
import drivers
import programs
import pytest

LANGUAGES = list(programs.ENDINGS)
EACH = pytest.mark.parametrize('language', LANGUAGES)
SQLITE = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


@pytest.fixture
def client(serve):
    return api.Api(serve(drivers.AllotmentServer).url)


@pytest.fixture
def url(client):
    return str(client.client.base_url).rstrip('/')


def provider(client, **inventory):
    made = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': made, 'uuid': made})
    if inventory:
        client('PUT', f'/resource_providers/{made}/inventories', {
            'resource_provider_generation': 0,
            'inventories': {name: {'total': total} for name, total in inventory.items()}})
    return made


def test_every_example_is_there_in_every_language():
    there = {path.name for path in programs.EXAMPLES.iterdir() if path.is_file()}
    shared = {'README.md', 'placement.sh'}
    names = {path.stem for path in programs.EXAMPLES.glob('*.rs')}
    assert there - shared == {name + ending for name in names for ending in programs.ENDINGS.values()}
    readme = (programs.EXAMPLES / 'README.md').read_text()
    assert all(f'`{name}`' in readme for name in names)


@SQLITE
@EACH
def test_a_trait_is_ensured(client, url, language):
    made = provider(client)
    for said in ('added\n', 'was there\n'):
        done = programs.run(url, 'ensure_trait', language, made, 'CUSTOM_X')
        assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert client('GET', f'/resource_providers/{made}/traits')['traits'] == ['CUSTOM_X']
    missing = programs.run(url, 'ensure_trait', language, str(uuid.uuid4()), 'CUSTOM_X')
    assert missing.returncode != 0 and '404' in missing.stderr + missing.stdout


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_no_trait_is_lost_among_all_languages(client, url):
    made = provider(client)
    calls = [(language, made, f'CUSTOM_{language.upper()}_{number}')
             for language in LANGUAGES for number in range(3)]
    for done in programs.run_all(url, 'ensure_trait', calls):
        assert (done.returncode, done.stdout) == (0, 'added\n'), done.stderr
    found = client('GET', f'/resource_providers/{made}/traits')
    assert sorted(found['traits']) == sorted(call[2] for call in calls)
    assert found['resource_provider_generation'] == len(calls)


@SQLITE
@EACH
def test_a_workload_is_scheduled(client, url, language):
    made = provider(client, VCPU=2, MEMORY_MB=1024)
    consumer = str(uuid.uuid4())
    expected = {'VCPU': 2, 'MEMORY_MB': 512}
    # Twice, as after a first run whose end nobody saw.
    for _ in range(2):
        done = programs.run(url, 'schedule', language, consumer, 'VCPU:2,MEMORY_MB:512')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[made]['resources'] == expected
    assert client('GET', f'/allocations/{consumer}')['allocations'][made]['resources'] == expected
    full = programs.run(url, 'schedule', language, str(uuid.uuid4()), 'VCPU:1')
    assert full.returncode != 0 and 'VCPU:1 fits nowhere' in full.stderr
    unknown = programs.run(url, 'schedule', language, str(uuid.uuid4()), 'CUSTOM_NONE:1')
    assert unknown.returncode != 0 and '400' in unknown.stderr


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_all_get_a_place_while_there_is_one(client, url):
    hosts = [provider(client, VCPU=3) for _ in range(4)]
    calls = [(language, str(uuid.uuid4()), 'VCPU:1') for language in LANGUAGES for _ in range(3)]
    done = programs.run_all(url, 'schedule', calls)
    assert [run.stderr for run in done if run.returncode] == []
    used = [client('GET', f'/resource_providers/{host}/usages')['usages']['VCPU'] for host in hosts]
    assert used == [3] * len(hosts)


def held(client, consumer):
    """The allocations of a consumer, by provider."""
    found = client('GET', f'/allocations/{consumer}')['allocations']
    return {provider: part['resources'] for provider, part in found.items()}


def placed(client, host, vcpus=1):
    """A consumer that holds some of a host."""
    consumer = str(uuid.uuid4())
    client('PUT', f'/allocations/{consumer}', {
        'allocations': {host: {'resources': {'VCPU': vcpus}}}, 'project_id': 'lab', 'user_id': 'ann',
        'consumer_type': 'INSTANCE', 'consumer_generation': None})
    return consumer


def live_tickets(client):
    return client('GET', '/waitlist')['tickets']


@SQLITE
@EACH
def test_a_consumer_is_moved(client, url, language):
    source, destination = provider(client, VCPU=2), provider(client, VCPU=2)
    consumer = placed(client, source)
    # The second run finds that all is done.
    for _ in range(2):
        done = programs.run(url, 'migrate', language, consumer, source, destination)
        assert (done.returncode, done.stdout) == (0, 'moved\n'), done.stderr
        assert held(client, consumer) == {destination: {'VCPU': 1}}
    big = placed(client, source, 2)
    done = programs.run(url, 'migrate', language, big, source, destination)
    assert done.returncode != 0 and 'NoRoom' in done.stderr
    assert held(client, big) == {source: {'VCPU': 2}}
    assert live_tickets(client) == []


def until(found):
    """Ask again and again until something is found."""
    for _ in range(600):
        result = found()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError('it never happened')


@SQLITE
@EACH
def test_a_lost_turn_is_noticed_by_the_fence(client, url, language):
    source, destination = provider(client, VCPU=2), provider(client, VCPU=2)
    consumer = placed(client, source)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Too short to renew: only the fence of the last write can tell.
        running = pool.submit(programs.run, url, 'migrate', language, consumer, source, destination,
                              COPY_SECONDS='4')
        until(lambda: len(held(client, consumer)) == 2)
        client('DELETE', f'/waitlist/{live_tickets(client)[0]["group"]}')
        done = running.result()
    assert done.returncode != 0 and 'LostTurn' in done.stderr, done
    assert set(held(client, consumer)) == {source, destination}
    # The next one goes on from there.
    done = programs.run(url, 'migrate', language, consumer, source, destination)
    assert (done.returncode, done.stdout) == (0, 'moved\n'), done.stderr
    assert held(client, consumer) == {destination: {'VCPU': 1}}


@SQLITE
def test_a_turn_is_renewed_while_the_work_takes_longer_than_the_lease(client, url):
    hosts = provider(client, VCPU=8), provider(client, VCPU=8)
    consumers = [placed(client, hosts[0]) for _ in LANGUAGES]
    calls = [(language, consumer, *hosts) for language, consumer in zip(LANGUAGES, consumers)]
    for done in programs.run_all(url, 'migrate', calls, LEASE_SECONDS='6', COPY_SECONDS='9'):
        assert (done.returncode, done.stdout) == (0, 'moved\n'), done.stderr
    assert all(held(client, consumer) == {hosts[1]: {'VCPU': 1}} for consumer in consumers)
    ended = client('GET', '/waitlist?status=all')['tickets']
    assert {ticket['status'] for ticket in ended} == {'finished'}


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_those_who_move_the_same_take_turns(client, url):
    one, other = provider(client, VCPU=8), provider(client, VCPU=8)
    consumer = placed(client, one)
    # Half of them back again: whoever took the tickets one by one would wait forever.
    calls = [(language, consumer, *pair) for language in LANGUAGES
             for pair in ((one, other), (other, one))]
    for done in programs.run_all(url, 'migrate', calls):
        assert (done.returncode, done.stdout) == (0, 'moved\n'), done.stderr
    assert list(held(client, consumer).values()) == [{'VCPU': 1}]
    assert live_tickets(client) == []
    # Each step of each turn was done by the holder of both tickets, one after the other.
    ended = client('GET', '/waitlist?status=all')['tickets']
    for host in (one, other):
        turns = sorted((ticket['activated_at'], ticket['updated_at'], ticket['fence'])
                       for ticket in ended if ticket['resource_provider_uuid'] == host)
        assert len(turns) == len(calls)
        assert [turn[2] for turn in turns] == sorted(turn[2] for turn in turns)
