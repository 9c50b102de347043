"""Rows that somebody else writes, by hand or as another replica, are seen without a restart."""

import concurrent.futures
import contextlib
import signal
import time
import uuid

import api
import load
import pytest

# SQLite tells that somebody else has written: it needs no rechecks.
RECHECK = {'sqlite': 3600, 'postgres': 1, 'mysql': 1}


@pytest.fixture(params=['sqlite', 'postgres', 'mysql'])
def kind(request):
    return request.param


def by_hand(database, *statements):
    with contextlib.closing(database._connect()) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def test_rows_mended_by_hand_are_seen(serve, database, kind):
    service = serve(placement={'recheck_seconds': RECHECK[kind]})
    client = api.Api(service.url)
    host, other = load.make_provider(client), load.make_provider(client)
    consumers = [str(uuid.uuid4()) for _ in range(2)]
    for consumer in consumers:
        client('PUT', f'/allocations/{consumer}', load.claim_body({host: 5}))
    client('PUT', f'/resource_providers/{host}/traits', {
        'resource_provider_generation': 3, 'traits': ['HW_CPU_X86_AVX']})
    host_id, = database.query(f"SELECT id FROM resource_providers WHERE uuid = '{host}'")[0]
    other_id, = database.query(f"SELECT id FROM resource_providers WHERE uuid = '{other}'")[0]

    def summary():
        found = client('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={host}')
        found = found['provider_summaries'].get(host)
        return found and (found['resources']['VCPU'], found['traits'])

    before = {'capacity': load.LOT, 'used': 10}
    assert summary() == (before, ['HW_CPU_X86_AVX'])

    # An orphan is deleted, and no generation changes.
    by_hand(database, f"DELETE FROM allocations WHERE consumer_id = '{consumers[0]}'",
            f"DELETE FROM consumers WHERE uuid = '{consumers[0]}'")
    load.await_shown(summary, ({**before, 'used': 5}, ['HW_CPU_X86_AVX']))
    # An amount, an inventory, a trait.
    by_hand(database, f"UPDATE allocations SET used = 7 WHERE consumer_id = '{consumers[1]}'")
    load.await_shown(summary, ({**before, 'used': 7}, ['HW_CPU_X86_AVX']))
    by_hand(database, f'UPDATE inventories SET total = 100 WHERE resource_provider_id = {host_id}')
    load.await_shown(summary, ({'capacity': 100, 'used': 7}, ['HW_CPU_X86_AVX']))
    by_hand(database, f'DELETE FROM resource_provider_traits WHERE resource_provider_id = {host_id}')
    load.await_shown(summary, ({'capacity': 100, 'used': 7}, []))

    def listed():
        found = client('GET', '/resource_providers')['resource_providers']
        return {each['uuid']: (each['name'], each['generation'], each['parent_provider_uuid'])
                for each in found}

    # A generation goes back, as from a backup; a name; a parent; one that is gone.
    by_hand(database, f'UPDATE resource_providers SET generation = 1 WHERE id = {host_id}')
    load.await_shown(listed, {host: (host, 1, None), other: (other, 1, None)})
    by_hand(database, "UPDATE resource_providers SET name = 'renamed', "
                      f'parent_provider_id = {host_id}, root_provider_id = {host_id} WHERE id = {other_id}')
    load.await_shown(listed, {host: (host, 1, None), other: ('renamed', 1, host)})
    by_hand(database, f'DELETE FROM inventories WHERE resource_provider_id = {other_id}',
            f'DELETE FROM resource_providers WHERE id = {other_id}')
    load.await_shown(listed, {host: (host, 1, None)})

    # A trait that is new, and has a provider at once.
    by_hand(database, "INSERT INTO traits (id, name) VALUES (99999, 'CUSTOM_BY_HAND')",
            'INSERT INTO resource_provider_traits (trait_id, resource_provider_id) '
            f'VALUES (99999, {host_id})')
    load.await_shown(summary, ({'capacity': 100, 'used': 7}, ['CUSTOM_BY_HAND']))

    mended = client.client.get('/metrics').text
    count = next(line for line in mended.splitlines() if line.startswith('allotment_fleet_mended_total '))
    assert float(count.split()[1]) >= 8


def test_two_services_see_what_either_writes(serve, database, kind, tmp_path):
    """Replicas do not tell each other, but each finds what the other has written."""
    if kind == 'sqlite':
        pytest.skip('a file has one service')
    tables = {'placement': {'recheck_seconds': 1}}
    first = api.Api(serve(**tables).url)
    second = api.Api(serve(**tables).url)
    provider = load.make_provider(first)
    first('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 3}))
    load.await_picture(second, database)
    second('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 4}))
    load.await_picture(first, database)


def test_a_service_that_stands_still_keeps_no_rows_from_another(serve, database, kind):
    """The host of a service may be suspended in the middle of a transaction."""
    if kind == 'sqlite':
        pytest.skip('a file has one service')
    still, running = serve(), serve()
    clients = [api.Api(service.url) for service in (still, running)]
    # A new replica is ready once the others know it. It writes nothing before.
    load.await_shown(lambda: clients[1].send('GET', '/healthcheck?ready').status_code, 200)
    first, second = (load.make_provider(clients[0]) for _ in range(2))

    def claim(client, *providers):
        body = load.claim_body(dict.fromkeys(providers, 1))
        return client.send('PUT', f'/allocations/{uuid.uuid4()}', body)

    # The owner's rows exist already, so that both claims only meet at the first provider.
    assert claim(clients[0], second).status_code == 204
    with concurrent.futures.ThreadPoolExecutor() as pool, \
            contextlib.closing(database._connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT id FROM resource_providers WHERE uuid = '{second}' FOR UPDATE")
        stopped = pool.submit(claim, clients[0], first, second)
        load.await_shown(lambda: database.query(load.LOCK_WAITS[kind])[0][0] > 0, True)
        still.process.send_signal(signal.SIGSTOP)
        try:
            connection.rollback()
            assert claim(clients[1], first).status_code == 204
        finally:
            still.process.send_signal(signal.SIGCONT)
        # Nothing of its transaction was written, so the service runs the transaction again.
        assert stopped.result().status_code == 204
    used = database.query('SELECT p.uuid, sum(a.used) FROM allocations a JOIN resource_providers p '
                          'ON p.id = a.resource_provider_id GROUP BY p.uuid')
    assert {provider: int(amount) for provider, amount in used} == {first: 2, second: 2}
