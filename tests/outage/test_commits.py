"""A COMMIT that hangs stops nobody but its own client; one whose connection ends is seen in the end,
whenever it happens; and nobody waits long for a picture that can't be made.
"""

import concurrent.futures
import contextlib
import threading
import time
import uuid

import api
import load
import psycopg2
import pytest

# The holder of this lock stops the commits of claims on one provider.
LOCK = 712

on_postgres = pytest.mark.parametrize('kind', ['postgres'], indirect=True)


class Gate:
    """A deferred trigger: claims on a provider hang in their COMMIT, for as long as the gate is entered."""

    def __init__(self, database, provider):
        self.connection = psycopg2.connect(dbname=database.name, **database._arguments())
        self.connection.autocommit = True
        cursor = self.connection.cursor()
        cursor.execute(f"""
            CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.resource_provider_id =
                        (SELECT id FROM resource_providers WHERE uuid = '{provider}') THEN
                    PERFORM pg_advisory_xact_lock_shared({LOCK});
                END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER hang AFTER INSERT ON allocations
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang()""")

    def execute(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()

    def __enter__(self):
        self.execute(f'SELECT pg_advisory_lock({LOCK})')
        return self

    def __exit__(self, *_):
        self.execute(f'SELECT pg_advisory_unlock({LOCK})')

    def await_hanging(self):
        """Waits until a COMMIT hangs; gives the number of its process."""
        deadline = time.monotonic() + 60
        while not (found := self.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")):
            assert time.monotonic() < deadline, 'no COMMIT hangs'
            time.sleep(0.02)
        return found[0][0]


def new_claim(client, amounts):
    consumer = str(uuid.uuid4())
    return client.send('PUT', f'/allocations/{consumer}', load.claim_body(amounts))


def used_of(client, *providers):
    """How much of each provider is in use, as the picture says."""
    summaries = client('GET', '/allocation_candidates?resources=VCPU:1')['provider_summaries']
    return [summaries[provider]['resources']['VCPU']['used'] for provider in providers]


@on_postgres
def test_a_commit_that_hangs_stops_nobody_else(serve, database):
    service = serve()
    client = api.Api(service.url)
    slow, beside, other, another = (load.make_provider(client) for _ in range(4))
    # The project exists already, so that no claim has to make its row and others need not wait for it.
    assert new_claim(client, {other: 1}).status_code == 204
    gate = Gate(database, slow)
    with concurrent.futures.ThreadPoolExecutor() as pool, gate:
        hanging = pool.submit(new_claim, api.Api(service.url), {slow: 1, beside: 1})
        gate.await_hanging()
        # A claim by one statement, a claim by a transaction, and writes that are no claims.
        assert new_claim(client, {other: 2}).status_code == 204
        assert new_claim(client, {other: 2, another: 3}).status_code == 204
        late = load.make_provider(client)
        client('PUT', f'/resource_providers/{late}/traits', {
            'resource_provider_generation': 1, 'traits': ['HW_CPU_X86_AVX']})
        # Committed writes are seen as ever, and no half of the claim that hangs.
        assert used_of(client, slow, beside, other, another, late) == [0, 0, 5, 3, 0]
        assert not hanging.done()
    assert hanging.result().status_code == 204
    assert used_of(client, slow, beside, other, another) == [1, 1, 5, 3]


@on_postgres
@pytest.mark.parametrize('both', [False, True], ids=['one', 'two'])
def test_a_commit_that_happens_after_its_connection_has_ended(serve, database, proxy, both):
    """The client is told that nobody knows; the picture shows it once it has happened."""
    service = serve(via=proxy.leading_to(database))
    client = api.Api(service.url)
    slow, beside, other = (load.make_provider(client) for _ in range(3))
    assert new_claim(client, {other: 1}).status_code == 204
    amounts = {slow: 1, beside: 1} if both else {slow: 1}
    gate = Gate(database, slow)
    consumer = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor() as pool, gate:
        hanging = pool.submit(api.Api(service.url).send, 'PUT', f'/allocations/{consumer}',
                              load.claim_body(amounts))
        gate.await_hanging()
        proxy.cut(near_only=True)
        if both:
            assert hanging.result().status_code == 503
        # The claim that hangs is read back with this one, too early: the server has not committed it yet.
        assert new_claim(client, {other: 1}).status_code == 204
        assert used_of(client, slow, beside, other) == [0, 0, 2]
    if not both:
        # The claim of one statement was done again, met the first one, and was found to be the same.
        assert hanging.result().status_code == 204
    held = client('GET', f'/allocations/{consumer}')['allocations']
    deadline = time.monotonic() + 60
    while not held:
        assert time.monotonic() < deadline
        held = client('GET', f'/allocations/{consumer}')['allocations']
    assert held.keys() == amounts.keys()
    load.await_picture(client, database)
    assert used_of(client, slow, beside) == [1, int(both)]


def test_of_a_move_no_half_is_seen(serve, database):
    """A consumer moves to and fro between two hosts, on which others claim something else."""
    service = serve()
    client = api.Api(service.url)
    hosts = [load.make_provider(client) for _ in range(2)]
    for host in hosts:
        client('PUT', f'/resource_providers/{host}/inventories', {
            'resource_provider_generation': 1,
            'inventories': {'VCPU': {'total': 9}, 'DISK_GB': {'total': load.LOT}}})
    consumer, is_over = str(uuid.uuid4()), threading.Event()
    client('PUT', f'/allocations/{consumer}', load.claim_body({hosts[0]: 1}))

    def move():
        own, moves = api.Api(service.url), 0
        while not is_over.is_set():
            moves += 1
            own('PUT', f'/allocations/{consumer}', load.claim_body({hosts[moves % 2]: 1}, moves))
        return moves

    def claim(host):
        own = api.Api(service.url)
        while not is_over.is_set():
            body = load.claim_body({host: 1})
            body['allocations'][host]['resources'] = {'DISK_GB': 1}
            own('PUT', f'/allocations/{uuid.uuid4()}', body)

    with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
        stack.callback(is_over.set)
        moving, *others = [pool.submit(move), *(pool.submit(claim, host) for host in hosts)]
        sums = [sum(used_of(client, *hosts)) for _ in range(400)]
        is_over.set()
        assert moving.result() > 5
        for other in others:
            other.result()
    assert set(sums) == {1}
    load.await_picture(client, database)


def test_who_has_written_does_not_wait_for_long_to_be_read_back(serve, database, proxy):
    """The database goes away after a COMMIT. A write that is known to be done is answered."""
    service = serve(via=proxy.leading_to(database))
    client = api.Api(service.url)
    provider = load.make_provider(client)
    path = f'/resource_providers/{provider}'
    client('PUT', f'{path}/traits', {'resource_provider_generation': 1, 'traits': ['HW_CPU_X86_AVX']})
    # The read-back of anything more than a claim begins with these words.
    held = proxy.hold_after(b'REPEATABLE READ')
    client('PUT', f'{path}/traits', {'resource_provider_generation': 2, 'traits': ['HW_CPU_X86_SSE']})
    assert held.is_set()
    # Meanwhile searches answer from the last picture.
    other = api.Api(service.url)
    found = other('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={provider}')
    assert found['provider_summaries'][provider]['traits'] == ['HW_CPU_X86_AVX']
    proxy.release()
    deadline = time.monotonic() + 60
    while other('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={provider}')[
            'provider_summaries'][provider]['traits'] != ['HW_CPU_X86_SSE']:
        assert time.monotonic() < deadline
        time.sleep(0.05)
