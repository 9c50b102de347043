"""Each write through one replica is found through the others at once."""

import concurrent.futures
import contextlib
import os
import random
import re
import threading
import time
import uuid

import hosts
import load
import pytest
from api import Api
from service import await_true

KINDS = os.environ.get('REPLICAS_ON', 'postgres mysql').split()
on_standing = pytest.mark.parametrize('standing', KINDS, indirect=True)
on_each = pytest.mark.parametrize('database', KINDS, indirect=True)
# The query that reads what providers have used, in the trace of a replica's statements.
READ = re.compile(r'allotment::sql\] SELECT (?:.resource_providers.\..id|p\.id).*?, sum\(')
SEED = int(os.environ.get('REPLICAS_SEED', random.randrange(2**32)))


@on_standing
@pytest.mark.parametrize('change', hosts.CHANGES, ids=lambda change: change.__name__)
def test_each_change_is_found_in_each_way(standing, change):
    """The first question to another replica after a change is answered as by the replica that was written through."""
    old = []
    for number, name in enumerate(hosts.CHANGES[change]):
        for turn in range(3):
            writer, reader = standing[turn], Api(standing[(turn + 1 + number % 2) % 3].url)
            host = hosts.Host(writer.url)
            # The reader's knowledge of the host must not hide the change.
            before = hosts.look(reader, name, host), hosts.look(host.api, name, host)
            change(host)
            seen, expected = hosts.look(reader, name, host), hosts.look(host.api, name, host)
            assert expected != before[1], f'"{name}" does not see the change'
            if before[0] != before[1]:
                old.append(f'{name}, before: {hosts.short(before[0])}, not {hosts.short(before[1])}')
            if seen != expected:
                old.append(f'{name}: {hosts.short(seen)}, not {hosts.short(expected)}')
    assert not old, '\n'.join([f'{len(old)} times', *old])


@on_standing
def test_each_read_is_fresh_under_load(standing):
    """Many clients that each write through one replica and look through another."""
    print(f'seed {SEED}')
    old = []

    def use(number):
        rng = random.Random(SEED + number)
        clients = [Api(each.url) for each in standing]
        provider = load.make_provider(clients[0])
        path = f'/resource_providers/{provider}'
        used = 0
        held = []
        for step in range(40):
            writer, reader = rng.sample(clients, 2)
            if held and rng.random() < 0.3:
                consumer, amount = held.pop()
                writer('DELETE', f'/allocations/{consumer}')
                used -= amount
            else:
                consumer, amount = load.new_uuid(rng), rng.randint(1, 5)
                writer('PUT', f'/allocations/{consumer}', load.claim_body({provider: amount}))
                held.append((consumer, amount))
                used += amount
            if rng.random() < 0.5:
                found = reader('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={provider}')
                seen = found['provider_summaries'].get(provider, {}).get('resources', {}).get('VCPU', {}).get('used')
            else:
                seen = reader('GET', f'{path}/usages')['usages']['VCPU']
            if seen != used:
                old.append(f'client {number}, step {step}: {seen} used, not {used}')

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(use, number) for number in range(8)]:
            done.result()
    assert not old, '\n'.join([f'{len(old)} times', *old])


@on_standing
def test_a_client_of_the_balancer_finds_what_it_wrote(standing_front):
    """As nova-compute does: make the provider, list it, give it inventory and traits, claim, look, release, delete."""
    client = Api(standing_front.url)
    for number in range(20):
        name, consumer = f'compute-{number}-{uuid.uuid4()}', str(uuid.uuid4())
        assert client('GET', f'/resource_providers?name={name}')['resource_providers'] == []
        made = client('POST', '/resource_providers', {'name': name})
        assert client('GET', f'/resource_providers?in_tree={made["uuid"]}')['resource_providers'] == [made]
        path = f'/resource_providers/{made["uuid"]}'
        trait = f'CUSTOM_{name.upper().replace("-", "_")}'
        client('PUT', f'/traits/{trait}')
        client('PUT', f'{path}/inventories', {
            'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': 4}}})
        client('PUT', f'{path}/traits', {'resource_provider_generation': 1, 'traits': [trait]})
        search = f'/allocation_candidates?resources=VCPU:4&required={trait}'
        assert len(client('GET', search)['allocation_requests']) == 1
        client('PUT', f'/allocations/{consumer}', load.claim_body({made['uuid']: 1}))
        assert client('GET', search)['allocation_requests'] == []
        client('DELETE', f'/allocations/{consumer}')
        assert len(client('GET', search)['allocation_requests']) == 1
        client('DELETE', path)
        assert client('GET', search)['allocation_requests'] == []
        assert client('GET', f'/resource_providers?name={name}')['resource_providers'] == []
        client('DELETE', f'/traits/{trait}')
        assert client.send('GET', search).status_code == 400


def make_pair(client):
    """Two providers, and the search that finds them alone."""
    pair, aggregate = [load.make_provider(client) for _ in range(2)], str(uuid.uuid4())
    for provider in pair:
        client('PUT', f'/resource_providers/{provider}/aggregates', {
            'resource_provider_generation': 1, 'aggregates': [aggregate]})
    return pair, f'/allocation_candidates?resources=VCPU:1&member_of={aggregate}'


@contextlib.contextmanager
def watched(replicas, look):
    """Meanwhile a client of each of the replicas looks over and over. `look` returns a complaint, or None."""
    is_over, wrong, counts = threading.Event(), [], []

    def watch(replica):
        client, count = Api(replica.url), 0
        while not is_over.is_set():
            complaint = look(client)
            if complaint is not None:
                wrong.append(complaint)
            count += 1
        counts.append(count)

    watchers = [threading.Thread(target=watch, args=[replica]) for replica in replicas]
    for watcher in watchers:
        watcher.start()
    try:
        yield
    finally:
        is_over.set()
        for watcher in watchers:
            watcher.join()
    assert not wrong, '\n'.join([f'{len(wrong)} times', *wrong[:20]])
    assert len(counts) == len(watchers) and min(counts) > 10


@on_standing
def test_no_search_sees_half_of_a_transaction(standing):
    """A claim goes to and fro between two providers, a little larger each time, in one transaction. Each search finds
    it on one of them, as it was answered last or later.
    """
    writer, consumer = Api(standing[0].url), str(uuid.uuid4())
    pair, search = make_pair(writer)
    writer('PUT', f'/allocations/{consumer}', load.claim_body({pair[0]: 1}))
    # The move that was answered last. After move N, the claim has N + 1 units.
    last = [0]

    def look(client):
        earlier = last[0]
        found = client('GET', search)['provider_summaries']
        # One more may have been done and not been answered.
        later = last[0] + 1
        used = tuple(found[each]['resources']['VCPU']['used'] if each in found else None for each in pair)
        if used not in [[(move + 1, 0), (0, move + 1)][move % 2] for move in range(earlier, later + 1)]:
            return f'{used} between the moves {earlier} and {later}'

    with watched(standing[1:] * 2, look):
        for move in range(1, 151):
            writer('PUT', f'/allocations/{consumer}', load.claim_body({pair[move % 2]: move + 1}, move))
            last[0] = move


@on_standing
def test_no_search_sees_a_commit_without_the_one_before_it(standing):
    """Claims go to two providers in turn, through one replica or several. A search never finds the second of two claims
    without the first.
    """
    writers = [Api(standing[number].url) for number in (0, 0, 1)]
    pair, search = make_pair(writers[0])

    def look(client):
        found = client('GET', search)['provider_summaries']
        first, second = (found[each]['resources']['VCPU']['used'] for each in pair)
        if first - second not in (0, 1):
            return f'{first} and {second}'

    with watched([standing[0], standing[0], standing[1]], look):
        for number in range(600):
            writers[number % 3]('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({pair[number % 2]: 1}))


@on_each
def test_the_load_of_all_is_one_truth(replicas, front, database):
    """Clients claim and release through HAProxy; at the end all pictures are the database, at the first look."""
    with load.Load(front.url) as crowd:
        for _ in range(5):
            crowd.await_answers()
    wrong = [wrong for client in crowd.clients for wrong in [*client.wrong, *client.losses()]]
    assert not wrong, wrong
    assert [load.pictured(Api(each.url)) for each in replicas] == [load.stored(database)] * 3


@on_each
def test_a_change_that_was_not_looked_for_yet_is_no_difference(replica):
    """A replica that answers no searches compares itself with the database all the same."""
    writer, idle = replica(), replica(placement={'recheck_seconds': 1})
    for each in (writer, idle):
        each.ensure_started()
    client = Api(writer.url)
    provider = load.make_provider(client)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        client('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 1}))
    metrics = Api(idle.url).client.get('/metrics').text
    assert re.findall(r'^allotment_fleet_mended_total (\S+)', metrics, re.M) == ['0']


@on_each
def test_commits_are_read_by_the_next_search(replica):
    """While another replica runs, a search reads many commits at once. A replica alone reads each commit by itself."""
    first, second = replica(log='info,allotment::sql=trace'), replica()
    for each in (first, second):
        each.ensure_started()
    client = Api(first.url)
    provider = load.make_provider(client)

    def await_others(count):
        words = f'\nallotment_other_replicas {count}\n'
        await_true(lambda: words in client.client.get('/metrics').text, f'not {count} other replicas')

    def reads_of_claims(count):
        before = len(READ.findall(first.log()))
        for _ in range(count):
            client('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 1}))
        found = client('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={provider}')
        return len(READ.findall(first.log())) - before, found['provider_summaries'][provider]['resources']['VCPU']['used']

    await_others(1)
    reads, used = reads_of_claims(30)
    # A replica looks at the change feed each second without being asked.
    assert reads < 10 and used == 30
    second.stop()
    await_others(0)
    assert reads_of_claims(30) == (30, 60)
