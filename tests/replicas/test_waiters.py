"""A request that waits for its turn at one replica is woken by what happens at another."""

import concurrent.futures
import os
import random
import re
import threading

import httpx
import load
import pytest
from api import LATEST, Api
from service import await_true

KINDS = os.environ.get('REPLICAS_ON', 'postgres mysql').split()
on_standing = pytest.mark.parametrize('standing', KINDS, indirect=True)
on_each = pytest.mark.parametrize('database', KINDS, indirect=True)
SEED = int(os.environ.get('REPLICAS_SEED', random.randrange(2**32)))
# For how long a client waits for its turn, in seconds, far more than it should take. The replica would wait for an
# hour.
PATIENCE = 30


class Queue:
    """The tickets for one thing."""

    def __init__(self, client):
        self.provider = load.make_provider(client)
        self.path = f'/resource_providers/{self.provider}/waitlist'

    def take(self, client, lease=600):
        """The path of a new ticket, and its status."""
        made = client('POST', self.path, {'scope': 'host', 'id': 'work', 'lease_seconds': lease})
        return f'{self.path}/{made["uuid"]}', made['status']


def wait(url, path):
    """Waits for a ticket, with a connection of its own; gives the ticket. A wait that ends by its time alone would
    give the ticket as it is too, so the client does not wait that long.
    """
    try:
        answer = httpx.get(f'{url}{path}?wait=true&timeout=3600', timeout=PATIENCE, trust_env=False, headers={
            'x-auth-token': 'admin', 'openstack-api-version': f'placement {LATEST}'})
    except httpx.ReadTimeout:
        pytest.fail('not woken')
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(32) as made:
        yield made


@on_standing
def test_a_release_wakes_the_waiter_of_another_replica(standing, pool):
    clients = [Api(each.url) for each in standing]
    queue = Queue(clients[0])
    held, status = queue.take(clients[0])
    assert status == 'active'
    fence = 0
    for turn in range(6):
        holder, waiter = clients[turn % 3], standing[(turn + 1) % 3]
        following, status = queue.take(clients[(turn + 2) % 3])
        assert status == 'queued'
        waiting = pool.submit(wait, waiter.url, following)
        await_true(lambda: waiter.waiters() == 1, 'nobody waits')
        holder('DELETE', held)
        ticket = waiting.result()
        assert ticket['status'] == 'active'
        assert ticket['fence'] > fence
        held, fence = following, ticket['fence']


@pytest.mark.skipif('postgres' not in KINDS, reason='PostgreSQL alone has notifications')
@pytest.mark.parametrize('database', ['postgres'], indirect=True)
def test_a_hint_is_sent_and_nothing_depends_on_it(replica, database, pool):
    """A notification spares looks at the change feed. Without one, a waiter is woken all the same."""
    holder, waiter = replica(), replica()
    for each in (holder, waiter):
        each.ensure_started()
    clients = [Api(each.url) for each in (holder, waiter)]
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    await_true(lambda: database.query(listening)[0][0] == 2, 'a replica does not listen')

    def counted(each, name):
        text = httpx.get(each.url + '/metrics', timeout=60, trust_env=False).text
        found = re.search(rf'^allotment_feed_{name}_total (\d+)', text, re.M)
        return int(found[1]) if found else 0

    queue = Queue(clients[0])
    held, _ = queue.take(clients[0])
    for is_cut in (False, True):
        following, _ = queue.take(clients[1])
        waiting = pool.submit(wait, waiter.url, following)
        await_true(lambda: waiter.waiters() == 1, 'nobody waits')
        looks, heard = counted(waiter, 'looks'), counted(waiter, 'hints_received')
        if is_cut:
            # A replica that hears nothing looks at the feed some hundred times a second.
            database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE query LIKE 'LISTEN%' AND datname = current_database()")
            await_true(lambda: counted(waiter, 'looks') > looks + 100, 'the waiter does not look')
        else:
            # Requests for the metrics show that the service is there meanwhile.
            for _ in range(20):
                waiter.waiters()
            assert counted(waiter, 'looks') < looks + 100
        clients[0]('DELETE', held)
        assert waiting.result()['status'] == 'active'
        if not is_cut:
            await_true(lambda: counted(waiter, 'hints_received') > heard, 'no hint is heard')
            assert counted(holder, 'hints_sent') > 0
        held = following


@on_standing
def test_no_waiter_is_missed_in_a_rush(standing, pool):
    """Workers take turns, each request through any replica: nobody has to wait for a time-out, and nobody works
    beside another.
    """
    print(f'seed {SEED}')
    queue = Queue(Api(standing[0].url))
    working, is_over = threading.Lock(), threading.Event()

    def work(number):
        rng = random.Random(SEED + number)
        clients = [Api(each.url) for each in standing]
        for _ in range(8):
            path, status = queue.take(rng.choice(clients))
            if status != 'active':
                status = wait(rng.choice(standing).url, path)['status']
            assert status == 'active'
            assert working.acquire(blocking=False), 'two hold the queue'
            working.release()
            rng.choice(clients)('DELETE', path)
            if is_over.is_set():
                return

    workers = [pool.submit(work, number) for number in range(6)]
    for done in concurrent.futures.as_completed(workers):
        if done.exception():
            is_over.set()
    for done in workers:
        done.result()


@on_standing
def test_a_group_is_woken_by_releases_elsewhere(standing, pool):
    clients = [Api(each.url) for each in standing]
    queues = [Queue(clients[0]) for _ in range(2)]
    held = [queue.take(client)[0] for queue, client in zip(queues, clients)]
    group = clients[2]('POST', '/waitlist', {'lease_seconds': 600, 'tickets': [
        {'resource_provider_uuid': queue.provider, 'scope': 'host', 'id': 'work'} for queue in queues]})
    waiting = pool.submit(wait, standing[2].url, f'/waitlist/{group["uuid"]}')
    await_true(lambda: standing[2].waiters() == 1, 'nobody waits')
    clients[0]('DELETE', held[0])
    clients[1]('DELETE', held[1])
    assert [ticket['status'] for ticket in waiting.result()['tickets']] == ['active'] * 2


@on_standing
def test_a_waiter_is_told_that_its_ticket_was_ended_elsewhere(standing, pool):
    clients = [Api(each.url) for each in standing]
    queue = Queue(clients[0])
    queue.take(clients[0])
    queued, _ = queue.take(clients[0])
    waiting = pool.submit(wait, standing[1].url, queued)
    await_true(lambda: standing[1].waiters() == 1, 'nobody waits')
    clients[2]('DELETE', queued)
    assert waiting.result()['status'] == 'finished'


@on_each
def test_a_lease_ends_although_its_replica_is_killed(three, pool):
    """The replica that took the ticket, and armed the timer, is gone; the successor waits at another."""
    clients = [Api(each.url) for each in three]
    for turn in range(2):
        queue = Queue(clients[2])
        queue.take(clients[turn], lease=2)
        queued, status = queue.take(clients[turn])
        assert status == 'queued'
        waiting = pool.submit(wait, three[2].url, queued)
        await_true(lambda: three[2].waiters() == 1, 'nobody waits')
        three[turn].kill()
        assert waiting.result()['status'] == 'active'


@on_each
def test_a_lease_ends_where_nobody_waits(three):
    """The same without a waiter: whoever looks later finds the successor's turn."""
    clients = [Api(each.url) for each in three]
    queue = Queue(clients[2])
    held, _ = queue.take(clients[0], lease=2)
    queued, _ = queue.take(clients[0])
    three[0].kill()
    await_true(lambda: clients[1]('GET', queued)['status'] == 'active', 'the lease ends at no other replica')
    assert clients[2]('GET', held)['status'] == 'expired'


@on_standing
def test_a_lease_that_is_renewed_elsewhere_goes_on(standing, pool):
    """The timer of the first replica finds the lease that another replica has made longer."""
    clients = [Api(each.url) for each in standing]
    queue = Queue(clients[0])
    held, _ = queue.take(clients[0], lease=3)
    queued, _ = queue.take(clients[0])
    waiting = pool.submit(wait, standing[0].url, queued)
    await_true(lambda: standing[0].waiters() == 1, 'nobody waits')
    is_over = threading.Event()
    for turn in range(14):
        ticket = clients[1 + turn % 2]('GET', held)
        assert ticket['status'] == 'active'
        clients[1 + turn % 2]('PUT', held, {'generation': ticket['generation'], 'lease_seconds': 3})
        is_over.wait(0.5)
    assert not waiting.done()
    clients[1]('DELETE', held)
    assert waiting.result()['status'] == 'active'


@on_standing
def test_a_waiter_of_another_replica_keeps_its_lease(standing, pool):
    """A queued ticket whose lease runs lives as long as somebody waits for it, at any replica."""
    clients = [Api(each.url) for each in standing]
    queue = Queue(clients[0])
    held, _ = queue.take(clients[0])
    made = clients[0]('POST', queue.path, {
        'scope': 'host', 'id': 'work', 'lease_seconds': 2, 'lease_while_queued': True})
    queued = f'{queue.path}/{made["uuid"]}'
    waiting = pool.submit(wait, standing[1].url, queued)
    is_over = threading.Event()
    for _ in range(8):
        is_over.wait(0.7)
        assert clients[2]('GET', queued)['status'] == 'queued'
    clients[2]('DELETE', held)
    assert waiting.result()['status'] == 'active'
