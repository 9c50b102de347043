"""After a storm of writes by several clients the picture of the fleet is what
the database says: the server answers the same after it has started anew.
"""

import random
import threading
import time
import uuid

import api
import httpx
import pytest
import worlds

CLIENTS = 4
WRITES = 120
QUERIES = 60
on_each_database = pytest.mark.parametrize(
    'database', ['sqlite', 'postgres', 'mysql'], indirect=True)


class Client:
    """Writes at random, to providers which all clients share."""

    def __init__(self, url, world, seed):
        self.server = api.Api(url)
        self.world = world
        self.rng = random.Random(seed)
        self.consumers = []
        self.statuses = []

    def run(self):
        writes = [self.claim, self.claim, self.claim_candidate, self.release,
                  self.equip, self.set_inventory, self.come_and_go,
                  self.rename, self.reparent]
        for _ in range(WRITES):
            self.rng.choice(writes)()

    def send(self, method, path, body=None):
        response = self.server.send(method, path, body)
        self.statuses.append(response.status_code)
        return response

    def some_provider(self):
        return self.rng.choice(self.world.providers)

    def generation(self, path):
        response = self.send('GET', path)
        return response.json().get('generation')

    def put_allocations(self, allocations):
        consumer = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        response = self.send('PUT', f'/allocations/{consumer}', {
            'allocations': allocations, 'project_id': 'red',
            'user_id': 'alice', 'consumer_generation': None,
            'consumer_type': 'INSTANCE'})
        # One that got no clear answer may be there too.
        if response.status_code == 204 or response.status_code >= 500:
            self.consumers.append(consumer)

    def claim(self):
        amounts = {self.rng.choice(worlds.CLASSES): self.rng.randint(1, 2)}
        self.put_allocations({self.some_provider().uuid:
                              {'resources': amounts}})

    def claim_candidate(self):
        query = worlds.Query(self.rng, self.world)
        response = self.server.send(
            'GET', f'/allocation_candidates?{query.text}&limit=5'
            if query.minor >= 16 else '/allocation_candidates?resources=VCPU:1',
            version=query.version if query.minor >= 16 else api.LATEST)
        assert response.status_code == 200, response.text
        requests = response.json()['allocation_requests']
        if requests:
            self.put_allocations(self.rng.choice(requests)['allocations'])

    def release(self):
        if self.consumers:
            consumer = self.consumers.pop(
                self.rng.randrange(len(self.consumers)))
            self.send('DELETE', f'/allocations/{consumer}')

    def equip(self):
        provider = worlds.Provider('drawn')
        provider.equip(self.rng)
        path = f'/resource_providers/{self.some_provider().uuid}'
        part, value = self.rng.choice([
            ('inventories', provider.inventories),
            ('traits', sorted(provider.traits)),
            ('aggregates', sorted(map(worlds.name_to_uuid,
                                      provider.aggregates)))])
        self.send('PUT', f'{path}/{part}', {
            'resource_provider_generation': self.generation(path),
            part: value})

    def set_inventory(self):
        path = f'/resource_providers/{self.some_provider().uuid}'
        name = self.rng.choice(worlds.CLASSES)
        if self.rng.random() < 0.3:
            self.send('DELETE', f'{path}/inventories/{name}')
        else:
            self.send('PUT', f'{path}/inventories/{name}', dict(
                worlds.random_inventory(self.rng),
                resource_provider_generation=self.generation(path)))

    def come_and_go(self):
        name = f'guest-{self.rng.randrange(8)}'
        if self.rng.random() < 0.5:
            self.send('DELETE', f'/resource_providers/'
                      f'{worlds.name_to_uuid(name)}')
        else:
            parent = self.rng.choice([None, self.some_provider().uuid])
            self.send('POST', '/resource_providers', {
                'name': name, 'uuid': worlds.name_to_uuid(name),
                'parent_provider_uuid': parent})

    def rename(self):
        provider = self.some_provider()
        response = self.send('GET', f'/resource_providers/{provider.uuid}')
        parent = response.json().get('parent_provider_uuid')
        self.send('PUT', f'/resource_providers/{provider.uuid}', {
            'name': f'{provider.name}-{self.rng.randrange(100)}',
            'parent_provider_uuid': parent})

    def reparent(self):
        provider, parent = self.some_provider(), self.some_provider()
        response = self.send('GET', f'/resource_providers/{provider.uuid}')
        self.send('PUT', f'/resource_providers/{provider.uuid}', {
            'name': response.json().get('name', provider.name),
            'parent_provider_uuid':
                self.rng.choice([None, parent.uuid])})


def rage(url, world, seed):
    """Let several clients write at once; returns them."""
    clients = [Client(url, world, f'{seed}-{n}') for n in range(CLIENTS)]
    failures = []

    def run(client):
        try:
            client.run()
        except Exception as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=[client])
               for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    return clients


def questions(world, seed):
    """Paths and the versions at which they are asked for."""
    rng = random.Random(f'{seed}-questions')
    paths = [('/resource_providers', api.LATEST)]
    for name in worlds.CLASSES:
        paths.append((f'/allocation_candidates?resources={name}:1',
                      api.LATEST))
        paths.append((f'/resource_providers?resources={name}:1', api.LATEST))
    for _ in range(QUERIES):
        query = worlds.Query(rng, world)
        paths.append((f'/allocation_candidates?{query.text}', query.version))
        query = worlds.ListQuery(rng, world)
        paths.append((f'/resource_providers?{query.text}', query.version))
    return paths


def answer_to(client, path, version):
    """An answer, in an order that does not depend on the server."""
    answer = client('GET', path, version=version)
    if 'allocation_requests' in answer:
        return worlds.normalised(answer)
    answer['resource_providers'].sort(key=lambda p: p['uuid'])
    return answer


def check_against_a_new_start(server, world, seed):
    """A server answers the same once it has loaded all from the database."""
    client, paths = api.Api(server.url), questions(world, seed)
    followed = [answer_to(client, *path) for path in paths]
    # Candidates come first in what is left of an answer to a search.
    assert any(isinstance(answer, tuple) and answer[0] for answer in followed), \
        'no question had an answer'
    server.stop()
    server.ensure_started()
    client = api.Api(server.url)
    for path, answer in zip(paths, followed):
        assert answer_to(client, *path) == answer, f'{path[0]} at {path[1]}'


def make_world(url, seed):
    server = api.Api(url)
    worlds.write_names(server)
    rng = random.Random(seed)
    world = worlds.World(rng, 'storm')
    for _ in range(2):
        world.add(rng, f'storm-more-{len(world.providers)}', None)
    world.write(server)
    world.use(server, rng)
    return server, world


@on_each_database
def test_after_a_storm(serve, driver, database):
    seed = worlds.seed()
    print(f'ALLOTMENT_TEST_SEED={seed}')
    served = serve(driver)
    url = served.url
    server, world = make_world(url, seed)
    clients = rage(url, world, seed)
    statuses = [status for client in clients for status in client.statuses]
    assert max(statuses) < 500, 'each request has a proper answer'
    assert statuses.count(204) > WRITES / 4, 'few of the writes were made'
    check_against_a_new_start(served, world, seed)


@pytest.mark.parametrize('database', ['postgres'], indirect=True)
def test_connections_that_are_lost_in_a_storm(serve, driver, database):
    """Connections end while transactions run, commits among them; what the
    database kept is what the searches see.
    """
    seed = worlds.seed()
    print(f'ALLOTMENT_TEST_SEED={seed}')
    served = serve(driver)
    url = served.url
    server, world = make_world(url, seed)
    over = threading.Event()
    ended = []

    def cut():
        rng = random.Random(f'{seed}-cuts')
        while not over.wait(rng.uniform(0.05, 0.2)):
            ended.extend(database.query(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
                'WHERE datname = current_database() '
                'AND pid <> pg_backend_pid() AND random() < 0.7'))

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        clients = rage(url, world, seed)
    finally:
        over.set()
        cutter.join()
    assert ended, 'no connection was cut'
    statuses = {status for client in clients for status in client.statuses}
    assert all(status < 500 or status == 503 for status in statuses), statuses
    wait_until_caught_up(server)
    check_against_a_new_start(served, world, seed)


def wait_until_caught_up(server):
    """A write that is answered comes after all before it."""
    deadline = time.monotonic() + 30
    while True:
        name = str(uuid.uuid4())
        try:
            response = server.send('POST', '/resource_providers',
                                   {'name': name, 'uuid': name})
            if response.status_code == 200:
                return server('DELETE', f'/resource_providers/{name}')
        except (httpx.TransportError, api.UnexpectedStatus):
            pass
        assert time.monotonic() < deadline, 'the server does not recover'
        time.sleep(0.1)
