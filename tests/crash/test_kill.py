"""kill -9 in the middle of load loses no answered write.

The load is drawn from a seed, which a failure shows: CRASH_SEED=… draws the
same. CRASH_ROUNDS says how often to kill; the writers of one round are checked
after its kill and again at the end of all.
"""

import os
import random
import time
import uuid

import api
import pytest
import workload

ROUNDS = int(os.environ.get('CRASH_ROUNDS', '20'))
SEED = int(os.environ.get('CRASH_SEED', random.randrange(2**32)))
WRITERS = 6

# Rows that break a rule of the schema, which has no foreign key for it.
RULES = {
    'an allocation without a consumer':
        'SELECT a.id FROM allocations a LEFT JOIN consumers c '
        'ON c.uuid = a.consumer_id WHERE c.id IS NULL',
    'an allocation without a provider':
        'SELECT a.id FROM allocations a LEFT JOIN resource_providers p '
        'ON p.id = a.resource_provider_id WHERE p.id IS NULL',
    'a consumer without an allocation':
        'SELECT c.id FROM consumers c LEFT JOIN allocations a '
        'ON c.uuid = a.consumer_id WHERE a.id IS NULL',
    'a provider without a root':
        'SELECT p.id FROM resource_providers p LEFT JOIN resource_providers r '
        'ON r.id = p.root_provider_id WHERE r.id IS NULL',
    'two inventories of one class':
        'SELECT resource_provider_id FROM inventories '
        'GROUP BY resource_provider_id, resource_class_id HAVING count(*) > 1',
}


def make_shared_provider(client):
    shared = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': 'shared', 'uuid': shared})
    client('PUT', f'/resource_providers/{shared}/inventories', {
        'resource_provider_generation': 0,
        'inventories': {'VCPU': {'total': 1_000_000}}})
    client('PUT', f'/traits/{workload.CUSTOM_TRAIT}')
    return shared


def generations(database):
    return dict(database.query(
        'SELECT uuid, generation FROM resource_providers'))


def assert_consistent(database, client, shared):
    for rule, query in RULES.items():
        assert database.query(query) == [], f'there is {rule}'
    claimed, = database.query(
        'SELECT coalesce(sum(a.used), 0) FROM allocations a '
        'JOIN resource_providers p ON p.id = a.resource_provider_id '
        f"WHERE p.uuid = '{shared}'")[0]
    usages = client('GET', f'/resource_providers/{shared}/usages')
    assert usages['usages']['VCPU'] == claimed


@pytest.mark.parametrize('database', ['sqlite', 'postgres'], indirect=True)
def test_kill(serve, driver, database):
    print(f'CRASH_SEED={SEED}')
    rng = random.Random(SEED)
    server = serve(driver)
    client = api.Api(server.url)
    shared = make_shared_provider(client)
    writers = [workload.Writer(number, server.url, shared, rng)
               for number in range(WRITERS)]
    for writer in writers:
        writer.prepare()

    newest = generations(database)
    answered = claims = 0
    for round_number in range(ROUNDS):
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.05, 0.8))
        server.kill()
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive()
            assert writer.unexpected == []
        answered += sum(writer.answered for writer in writers)
        claims += sum(writer.claims for writer in writers)

        server.ensure_started()
        client = api.Api(server.url)
        lost = [loss for writer in writers for loss in writer.losses(client)]
        assert lost == [], f'after kill {round_number + 1}'
        assert_consistent(database, client, shared)
        before, newest = newest, generations(database)
        for provider, generation in before.items():
            assert newest[provider] >= generation
        # Each of them incremented it once.
        assert newest[shared] >= claims
        writers = [writer.again(server.url, rng) for writer in writers]
    print(f'{answered} answered writes, {ROUNDS} kills, none lost')
    assert answered > ROUNDS
