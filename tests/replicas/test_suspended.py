"""A replica that hangs for a while, or is cut off from the database, never shows old data as new."""

import os
import concurrent.futures
import re
import time

import harm
import hosts
import httpx
import load
import pytest
from api import Api
from service import await_true

pytestmark = pytest.mark.parametrize(
    'database', os.environ.get('REPLICAS_ON', 'postgres mysql').split(), indirect=True)
CHANGES = [hosts.make_provider, hosts.set_inventories, hosts.set_traits, hosts.drop_aggregates, hosts.claim_all,
           hosts.release, hosts.delete_provider, hosts.delete_trait, hosts.reshape]
# For how long the replica does nothing; longer than the database lets a transaction stand still.
ASLEEP = 12


def looks():
    """Each of the changes with each way to look at it."""
    return [(change, name) for change in CHANGES for name in hosts.CHANGES[change]]


def is_old(answer, expected):
    """Whether an answer claims what is no longer so. A refusal for now claims nothing."""
    if answer.status_code == 503:
        assert 'retry-after' in answer.headers, answer.headers
        return False
    return hosts.seen(answer) != expected


def send(url, path):
    """One question on a connection of its own."""
    with httpx.Client(timeout=120, trust_env=False) as client:
        return client.get(url + path, headers={
            'x-auth-token': 'admin', 'accept': 'application/json', 'openstack-api-version': 'placement 1.39'})


def prepare(url, reader):
    """Makes a host for each change and each way to look at it; the reader knows them."""
    made = []
    for change, name in looks():
        host = hosts.Host(url)
        hosts.look(reader, name, host)
        made.append((change, name, host))
    return made


def change_all(made):
    """Makes all changes; gives the way to look, the host, and what is to be seen."""
    for change, _, host in made:
        change(host)
    return [(name, host, hosts.look(host.api, name, host)) for _, name, host in made]


def compare(pool, url, made):
    """Asks all at once; gives the answers that are old."""
    asked = [(name, expected, pool.submit(send, url, hosts.LOOKS[name](host))) for name, host, expected in made]
    return lambda: [f'{name}: {hosts.short(hosts.seen(answer.result()))}, not {hosts.short(expected)}'
                    for name, expected, answer in asked if is_old(answer.result(), expected)]


def test_a_replica_that_runs_alone_reads_the_feed_while_writers_wake_it(replica):
    """A replica that does not read the feed for ten seconds is not ready."""
    alone = replica()
    alone.ensure_started()
    with load.Load(alone.url, clients=24) as crowd:
        crowd.await_answers()
        before = looks_at_feed(alone)
        await_true(lambda: looks_at_feed(alone) >= before + 5, 'the feed is not read')


def looks_at_feed(replica):
    metrics = httpx.get(replica.url + '/metrics', timeout=60, trust_env=False).text
    return int(re.search(r'^allotment_feed_looks_total (\d+)', metrics, re.M)[1])


def test_a_replica_that_hangs_shows_nothing_old(three):
    first, hanging, _ = three
    prepared = prepare(first.url, Api(hanging.url))
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        begun = time.monotonic()
        hanging.suspend()
        made = change_all(prepared)
        # Questions that come while it hangs, after the changes were answered.
        early = compare(pool, hanging.url, made)
        time.sleep(max(0.0, ASLEEP - (time.monotonic() - begun)))
        hanging.resume()
        # Questions that come as soon as it goes on.
        late = compare(pool, hanging.url, made)
        old = early() + late()
        assert not old, '\n'.join([f'{len(old)} times', *old])
        await_true(hanging.is_ready, 'not ready again')
        # By now nothing is refused.
        again = [send(hanging.url, hosts.LOOKS[name](host)).status_code for name, host, _ in made]
        assert again == [expected[0] for _, _, expected in made]
        assert compare(pool, hanging.url, made)() == []


def test_a_replica_that_is_cut_off_shows_nothing_old(replica, database):
    """Its connections to the database swallow everything, and later end."""
    first, second = replica(), replica()
    first.ensure_started()
    target = second.database
    proxy = harm.Proxy(target.server.port)
    second.database = proxy.leading_to(target)
    try:
        second.ensure_started()
        prepared = prepare(first.url, Api(second.url))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            proxy.is_black_hole = True
            made = change_all(prepared)
            old = compare(pool, second.url, made)()
            assert not old, '\n'.join([f'{len(old)} times', *old])
            assert not second.is_ready()
            proxy.cut()
            proxy.is_black_hole = False
            await_true(second.is_ready, 'not ready again')
            assert compare(pool, second.url, made)() == []
    finally:
        proxy.close()


def test_a_replica_that_is_killed_comes_back_fresh(three, database):
    """Killed and started again under load, over and over: as soon as it answers, it shows all that was answered."""
    with load.Load(three[0].url) as crowd:
        for _ in range(4):
            crowd.await_answers()
            three[1].kill()
            answered = [(client.own, set(client.gone), dict(client.held)) for client in crowd.clients]
            three[1].ensure_started()
            client = Api(three[1].url)
            listed = {each['uuid'] for each in client('GET', '/resource_providers')['resource_providers']}
            assert {own for own, _, _ in answered} <= listed
    crowd.check(database)
    assert load.pictured(Api(three[1].url)) == load.stored(database)
