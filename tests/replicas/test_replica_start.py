"""A replica starts while others write, and several start together."""

import os
import subprocess
import threading

import drivers
import hosts
import load
import pytest
from api import Api
from service import await_true

pytestmark = pytest.mark.parametrize(
    'database', os.environ.get('REPLICAS_ON', 'postgres mysql').split(), indirect=True)


class Maker(threading.Thread):
    """Makes, fills and deletes providers through one replica, and notes what was answered."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.api = Api(url)
        self.is_over = threading.Event()
        self.made = {}      # provider -> used
        self.deleted = set()
        self.lock = threading.Lock()

    def run(self):
        number = 0
        while not self.is_over.is_set():
            number += 1
            provider, used = load.make_provider(self.api), number % 5 + 1
            self.api('PUT', f'/allocations/{hosts.new_uuid()}', load.claim_body({provider: used}))
            with self.lock:
                self.made[provider] = used
            if number % 3 == 0:
                gone = load.make_provider(self.api)
                self.api('DELETE', f'/resource_providers/{gone}')
                with self.lock:
                    self.deleted.add(gone)

    def answered(self):
        with self.lock:
            return dict(self.made), set(self.deleted)


def test_a_replica_that_starts_while_another_writes_misses_nothing(replica, database):
    """All that was answered before the first question to the new replica is in its answer, and all later things
    follow at once.
    """
    first = replica()
    first.ensure_started()
    makers = [Maker(first.url) for _ in range(3)]
    for maker in makers:
        maker.start()
    try:
        for turn in range(5):
            late = replica()
            late.ensure_started()
            client = Api(late.url)
            for _ in range(5):
                made, deleted = {}, set()
                for maker in makers:
                    more, gone = maker.answered()
                    made |= more
                    deleted |= gone
                used = {provider: each['resources']['VCPU']['used'] for provider, each in client(
                    'GET', '/allocation_candidates?resources=VCPU:1')['provider_summaries'].items()}
                missed = {each: (used.get(each), amount) for each, amount in made.items() if used.get(each) != amount}
                assert not missed, f'replica {turn + 2} of {len(made)} providers: {missed}'
                assert not deleted & used.keys(), f'replica {turn + 2} shows deleted providers'
                listed = {each['uuid'] for each in client('GET', '/resource_providers')['resource_providers']}
                assert made.keys() <= listed and not deleted & listed
            late.stop()
        assert all(maker.is_alive() for maker in makers)
    finally:
        for maker in makers:
            maker.is_over.set()
        for maker in makers:
            maker.join()
    last = replica()
    last.ensure_started()
    assert load.pictured(Api(first.url)) == load.pictured(Api(last.url)) == load.stored(database)


def test_replicas_that_start_together_on_an_empty_database(replica, database):
    """One of them makes the schema; on a cluster, each comes to its own node."""
    together = [replica() for _ in range(3)]
    for each in together:
        each.write_config()
        with open(each.workdir / 'server.log', 'ab') as log:
            each.process = subprocess.Popen(
                each.command(), cwd=each.workdir, env=drivers.environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=drivers.end_with_parent)
    for each in together:
        each._wait_until_ready()
    assert database.query('SELECT count(*), count(DISTINCT name) FROM traits') == [(377, 377)]
    assert database.query('SELECT count(*), count(DISTINCT name) FROM resource_classes') == [(21, 21)]
    await_true(lambda: all(each.is_ready() for each in together), 'a replica is not ready')
    host = hosts.Host(together[0].url)
    for each in together[1:]:
        seen = hosts.look(Api(each.url), 'candidates by trait', host)
        assert seen == hosts.look(host.api, 'candidates by trait', host)
