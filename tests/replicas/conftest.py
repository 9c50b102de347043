"""Replicas of the service on one database; on a cluster, each has a node of its own."""

import contextlib
import re
import signal

import balancer
import databases
import drivers
import httpx
import pytest
import replicated
import service as services

# The replicas compare what they know with the database once an hour, so that no such comparison hides a change of
# which they were not told.
TABLES = {'placement': {'recheck_seconds': 3600}, 'waitlist': {'recheck_seconds': 3600}}


class Replica(services.Service):
    """One of several services on a database."""

    def is_ready(self):
        return httpx.get(self.url + '/healthcheck?ready', timeout=60, trust_env=False).status_code == 200

    def suspend(self):
        """SIGSTOP: the process does nothing, but is there, as on a host that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def waiters(self):
        """The number of requests that wait for a turn."""
        metrics = httpx.get(self.url + '/metrics', timeout=60, trust_env=False).text
        return int(re.search(r'^allotment_waitlist_waiters (\d+)', metrics, re.M)[1])


@contextlib.contextmanager
def makes_replicas(directory, database):
    """Gives a function that makes the next replica, which does not run yet; ends them all."""
    made = []

    def make(**tables):
        place = directory / f'replica{len(made) + 1}'
        place.mkdir()
        node = database.nodes[len(made) % len(database.nodes)]
        made.append(Replica(place, next(drivers.PORTS), node, {**TABLES, **tables}))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None:
            each.resume()
        each.stop()


def start_all(make):
    """Three replicas that run; fewer with the variable REPLICAS, of which some are then named twice."""
    made = [make() for _ in range(replicated.REPLICAS)]
    for each in made:
        each.ensure_started()
    return (made * 3)[:3]


@pytest.fixture
def replica(tmp_path, database):
    """Returns a function that makes the next replica."""
    with makes_replicas(tmp_path, database) as make:
        yield make


@pytest.fixture
def replicas(replica):
    """Three replicas of one test."""
    return start_all(replica)


@pytest.fixture(scope='module')
def standing(request, tmp_path_factory):
    """Three replicas for all tests that only write what is their own, on a kind of database."""
    directory = tmp_path_factory.mktemp('standing')
    database = databases.KINDS[request.param](f'test_standing_{request.param}', directory)
    database.create()
    with makes_replicas(directory, database) as make:
        yield start_all(make)
    database.drop()


@pytest.fixture
def standing_front(standing, tmp_path):
    """HAProxy before those three."""
    with makes_front(standing, tmp_path) as made:
        yield made


@contextlib.contextmanager
def makes_front(replicas, directory):
    made = balancer.Balancer(directory, list(dict.fromkeys(each.port for each in replicas)))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def three(replicas):
    """The same, for tests that end one of them and ask another."""
    if replicated.REPLICAS < 3:
        pytest.skip('needs three replicas')
    return replicas


@pytest.fixture
def front(replicas, tmp_path):
    """HAProxy before the three replicas."""
    with makes_front(replicas, tmp_path) as made:
        yield made
