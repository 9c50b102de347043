"""Clients that claim, search and release while the service behind their endpoint changes."""

import contextlib
import random
import threading
import uuid

from api import Api
from waiting import until

TOTAL = 1000


class Client(threading.Thread):
    """A client with a provider of its own, beside a provider of all clients. It looks at its own after each write."""

    def __init__(self, crowd, number):
        super().__init__(daemon=True)
        self.crowd, self.rng = crowd, random.Random(crowd.seed + number)
        self.apis = {}
        self.own = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.held, self.rounds, self.wrong = {}, 0, []

    def run(self):
        try:
            self.crowd.make_provider(self.api(), self.own)
            while not self.crowd.is_over.is_set():
                self.round()
                self.rounds += 1
        except Exception as error:  # noqa: BLE001: shown by the test
            self.wrong.append(repr(error))

    def api(self):
        """The service that the endpoint leads to, for one request."""
        url = self.rng.choice(self.crowd.endpoints)
        return self.apis.setdefault(url, Api(url))

    def round(self):
        if self.held and self.rng.random() < 0.4:
            consumer = self.rng.choice(sorted(self.held))
            self.write('DELETE', f'/allocations/{consumer}')
            del self.held[consumer]
        else:
            consumer = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            amounts = {self.own: self.rng.randint(1, 3), self.crowd.shared: 1}
            self.write('PUT', f'/allocations/{consumer}', {
                'allocations': {provider: {'resources': {'VCPU': amount}} for provider, amount in amounts.items()},
                'project_id': 'red', 'user_id': 'alice', 'consumer_generation': None, 'consumer_type': 'INSTANCE'})
            self.held[consumer] = amounts
        used = self.used(self.own)
        found = self.api()('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={self.own}')
        seen = found['provider_summaries'][self.own]['resources']['VCPU']['used']
        if seen != used:
            self.wrong.append(f'{seen} are used, not {used}')

    def used(self, provider):
        return sum(amounts[provider] for amounts in self.held.values())

    def write(self, method, path, body=None):
        """As nova does, again if another claim on the provider came first."""
        while True:
            response = self.api().send(method, path, body)
            if response.status_code == 409 and 'placement.concurrent_update' in response.text:
                self.crowd.conflicts += 1
                continue
            assert response.is_success, f'{method} {path}: {response.status_code} {response.text}'
            return


class Crowd:
    def __init__(self, url, seed, size=3):
        self.endpoints, self.seed = [url], seed
        self.shared = str(uuid.uuid4())
        self.conflicts = 0
        self.is_over = threading.Event()
        self.make_provider(Api(url), self.shared)
        self.clients = [Client(self, number) for number in range(size)]

    @staticmethod
    def make_provider(api, provider):
        api('POST', '/resource_providers', {'name': provider, 'uuid': provider})
        api('PUT', f'/resource_providers/{provider}/inventories', {
            'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': TOTAL}}})

    @contextlib.contextmanager
    def at_work(self):
        for client in self.clients:
            client.start()
        try:
            yield self
        finally:
            self.stop()
        assert not self.wrong(), self.wrong()

    def stop(self):
        """The clients end, before the service does."""
        self.is_over.set()
        for client in self.clients:
            client.join()

    def wrong(self):
        return [each for client in self.clients for each in client.wrong]

    def lead_to(self, *urls):
        """The endpoint leads there; each client has done some rounds since then."""
        self.endpoints = list(urls)
        self.go_on()

    def go_on(self, rounds=3):
        before = [client.rounds for client in self.clients]
        until(lambda: self.wrong() or all(client.rounds >= earlier + rounds for client, earlier
                                          in zip(self.clients, before)), 'each client goes on')
        assert not self.wrong(), self.wrong()

    def used(self):
        """Usage by provider, as the clients were answered."""
        return {provider: sum(client.used(provider) for client in self.clients if provider in (client.own, self.shared))
                for provider in [self.shared, *(client.own for client in self.clients)]}
