"""Clients that write and read while the database suffers, and remember what they were answered.

Each claims for consumers of its own, so that what it was last answered is what must be there. A write
that was answered with 503 may have been done or not; nothing else may go wrong. Where the service itself ends, a
write may also be cut off.
"""

import random
import threading
import time
import uuid

import api
import httpx

LOT = 1_000_000
# How long a client pauses where the service says that the database is away.
PAUSE = 0.02


def new_uuid(rng):
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


# How many locks are waited for.
LOCK_WAITS = {
    'postgres': "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE a.datname = current_database() AND NOT l.granted",
    'mysql': "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"}


def make_provider(client, name=None):
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': name or provider, 'uuid': provider})
    client('PUT', f'/resource_providers/{provider}/inventories', {
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': LOT}}})
    return provider


def claim_body(amounts, generation=None):
    return {'allocations': {provider: {'resources': {'VCPU': amount}}
                            for provider, amount in amounts.items()},
            'project_id': 'project', 'user_id': 'user', 'consumer_type': 'INSTANCE',
            'consumer_generation': generation}


class Client(threading.Thread):
    """Claims, releases and reads until it is told to end."""

    def __init__(self, url, shared, seed, may_be_cut=False):
        super().__init__(daemon=True)
        self.may_be_cut = may_be_cut
        self.rng = random.Random(seed)
        self.api = api.Api(url)
        self.shared = shared
        self.own = make_provider(self.api)
        self.is_over = threading.Event()
        self.held = {}          # consumer -> amounts, by provider
        self.gone = set()       # consumers whose release was answered
        self.unsure = {}        # consumer -> what it may hold, one of these
        self.claims = 0         # answered, on the provider of its own
        self.unsure_claims = 0
        self.refused = {'GET': 0, 'PUT': 0, 'DELETE': 0}
        self.answered = 0
        self.last_answer = time.monotonic()
        self.wrong = []

    def run(self):
        try:
            while not self.is_over.is_set():
                self.rng.choices([self.claim, self.claim_both, self.release, self.read],
                                 weights=[4, 2, 2, 4])[0]()
        except Exception as error:  # noqa: BLE001: shown by the test
            self.wrong.append(repr(error))

    def ask(self, method, path, body=None):
        """Whether the request was done; None if nobody knows."""
        try:
            response = self.api.send(method, path, body)
        except httpx.TransportError:
            if not self.may_be_cut:
                raise
            response = httpx.Response(502)
        if response.is_success:
            self.answered += 1
            self.last_answer = time.monotonic()
            return response
        if response.status_code == 502 and self.may_be_cut:
            pass
        elif response.status_code != 503:
            self.wrong.append(f'{method} {path}: {response.status_code} {response.text}')
        elif 'retry-after' not in response.headers:
            self.wrong.append('503 without Retry-After')
        self.refused[method] += 1
        time.sleep(PAUSE)
        return None

    def claim(self):
        """With one statement, where the database has such."""
        self.put({self.rng.choice([self.shared, self.own]): self.rng.randint(1, 3)})

    def claim_both(self):
        """With a transaction."""
        self.put({self.shared: self.rng.randint(1, 3), self.own: self.rng.randint(1, 3)})

    def put(self, amounts):
        consumer = new_uuid(self.rng)
        done = self.ask('PUT', f'/allocations/{consumer}', claim_body(amounts))
        is_own = int(self.own in amounts)
        if done is None:
            self.unsure[consumer] = [{}, amounts]
            self.unsure_claims += is_own
        else:
            self.held[consumer] = amounts
            self.claims += is_own

    def release(self):
        if self.held:
            consumer = self.rng.choice(sorted(self.held))
            amounts = self.held.pop(consumer)
            if self.ask('DELETE', f'/allocations/{consumer}') is None:
                self.unsure[consumer] = [{}, amounts]
            else:
                self.gone.add(consumer)

    def read(self):
        self.ask('GET', self.rng.choice([
            f'/resource_providers/{self.own}', f'/resource_providers/{self.shared}/usages',
            f'/allocations/{new_uuid(self.rng)}',
            f'/allocation_candidates?resources=VCPU:1&in_tree={self.own}']))

    def losses(self, held=None):
        """The answered writes that the service does not know, or has done twice. `held` may have the amounts of each
        consumer, as `allocated` reads them, in place of a question for each consumer.
        """
        expected = {**{consumer: [amounts] for consumer, amounts in self.held.items()},
                    **{consumer: [{}] for consumer in self.gone}, **self.unsure}
        found = []
        for consumer, possible in expected.items():
            if held is None:
                shown = self.api('GET', f'/allocations/{consumer}')['allocations']
                amounts = {provider: claimed['resources']['VCPU'] for provider, claimed in shown.items()}
            else:
                amounts = held.get(consumer, {})
            if amounts not in possible:
                found.append(f'{consumer} has {amounts}, not one of {possible}')
        generation = self.api('GET', f'/resource_providers/{self.own}')['generation']
        # The provider's inventory was the first step of its generation.
        if not self.claims < generation <= 1 + self.claims + self.unsure_claims:
            found.append(f'generation {generation} after {self.claims} claims '
                         f'and {self.unsure_claims} that may have been')
        return found


class Load:
    """Some clients at a time."""

    def __init__(self, url, clients=6, seed=None, **options):
        self.seed = random.randrange(2**32) if seed is None else seed
        print(f'seed {self.seed}')
        self.api = api.Api(url)
        self.shared = make_provider(self.api)
        self.clients = [Client(url, self.shared, self.seed + number, **options) for number in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.is_over.set()
        for client in self.clients:
            client.join(120)
            assert not client.is_alive(), 'a request is not answered'

    @property
    def answered(self):
        return sum(client.answered for client in self.clients)

    def refused(self, method):
        return sum(client.refused[method] for client in self.clients)

    def await_answers(self, patience=60):
        """Waits until each client is answered again; says how long that took."""
        begun = time.monotonic()
        while any(client.last_answer < begun and client.is_alive() for client in self.clients):
            assert time.monotonic() < begun + patience, 'no answers although the database is there'
            time.sleep(0.01)
        return max(client.last_answer for client in self.clients) - begun

    def check(self, database):
        """Nothing answered is lost, nothing is done twice, the picture is what the database says."""
        wrong = [wrong for client in self.clients for wrong in client.wrong]
        assert not wrong, wrong
        lost = [loss for client in self.clients for loss in client.losses()]
        assert not lost, lost
        await_picture(self.api, database)


def stored(database):
    """The generation of each provider with inventory, and the sum of its allocations."""
    rows = database.query(
        'SELECT p.uuid, p.generation, coalesce((SELECT sum(used) FROM allocations a '
        'WHERE a.resource_provider_id = p.id), 0) FROM resource_providers p')
    return {uuid: (generation, int(used)) for uuid, generation, used in rows}


def allocated(database):
    """The amounts of each consumer, by provider."""
    held = {}
    for consumer, provider, used in database.query(
            'SELECT a.consumer_id, p.uuid, a.used FROM allocations a '
            'JOIN resource_providers p ON p.id = a.resource_provider_id'):
        held.setdefault(consumer, {})[provider] = used
    return held


def pictured(client):
    """The same as the service's picture has it; None where the first answer lacks what the second has."""
    summaries = client('GET', '/allocation_candidates?resources=VCPU:1')['provider_summaries']
    used = {uuid: sum(stock['used'] for stock in summary['resources'].values())
            for uuid, summary in summaries.items()}
    listed = client('GET', '/resource_providers')['resource_providers']
    return {each['uuid']: (each['generation'], used.get(each['uuid'])) for each in listed}


def await_picture(client, database, patience=60):
    """Waits until the picture is what the database says; says how long that took."""
    begun = time.monotonic()
    while pictured(client) != stored(database):
        assert time.monotonic() < begun + patience, (pictured(client), stored(database))
        time.sleep(0.05)
    return time.monotonic() - begun


def await_shown(look, expected):
    """Waits until `look` gives what is expected."""
    deadline = time.monotonic() + 60
    while (seen := look()) != expected:
        assert time.monotonic() < deadline, f'{seen}, not {expected}'
        time.sleep(0.05)
