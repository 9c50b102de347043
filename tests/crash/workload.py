"""Concurrent writers that remember what they were answered.

Each writer has providers, consumers and traits of its own, so that what it was
last answered is what must be there; all of them also claim on one shared
provider. A write that was sent but not answered may or may not be there.
"""

import random
import threading
import uuid

import api
import httpx

CUSTOM_TRAIT = 'CUSTOM_CRASH'


class Writer(threading.Thread):
    """Writes in a loop until the server is gone."""

    def __init__(self, number, url, shared, rng):
        super().__init__(daemon=True)
        self.rng = random.Random(rng.random())
        self.number = number
        self.url = url
        self.shared = shared
        self.provider = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.consumers = {}     # uuid -> amounts claimed, by provider
        self.gone = set()       # consumers whose deletion was answered
        self.total = None       # of VCPU, in the provider's inventory
        self.traits = None
        self.generation = 0     # the newest of the provider that was answered
        self.unanswered = None  # what the write under way is about
        self.answered = 0
        self.claims = 0
        self.unexpected = []

    def prepare(self):
        """Make the writer's provider; before any crash."""
        client = api.Api(self.url)
        created = client('POST', '/resource_providers', {
            'name': f'writer{self.number}', 'uuid': self.provider})
        self.generation = created['generation']
        self.put_inventory(client)

    def run(self):
        try:
            client = api.Api(self.url)
            while True:
                self.rng.choices(
                    [self.claim, self.reclaim, self.release,
                     self.put_inventory, self.put_traits],
                    weights=[5, 2, 1, 2, 2])[0](client)
        except httpx.TransportError:
            pass
        except Exception as error:  # noqa: BLE001: shown by the test
            self.unexpected.append(repr(error))

    def write(self, client, about, method, path, body=None):
        self.unanswered = about
        answer = client(method, path, body)
        self.unanswered = None
        self.answered += 1
        return answer

    def claim(self, client):
        consumer = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.put_claim(client, consumer, None)

    def reclaim(self, client):
        if self.consumers:
            consumer = self.rng.choice(sorted(self.consumers))
            held = client('GET', f'/allocations/{consumer}')
            self.put_claim(client, consumer, held['consumer_generation'])

    def put_claim(self, client, consumer, generation):
        amounts = {self.shared: self.rng.randint(1, 3)}
        if self.rng.random() < 0.5:
            amounts[self.provider] = self.rng.randint(1, 3)
        self.write(
            client, ('consumer', consumer), 'PUT', f'/allocations/{consumer}', {
                'allocations': {provider: {'resources': {'VCPU': amount}}
                                for provider, amount in amounts.items()},
                'project_id': f'project{self.rng.randint(1, 5)}',
                'user_id': f'user{self.rng.randint(1, 5)}',
                'consumer_type': 'INSTANCE',
                'consumer_generation': generation})
        self.consumers[consumer] = amounts
        self.claims += 1

    def release(self, client):
        if self.consumers:
            consumer = self.rng.choice(sorted(self.consumers))
            self.write(client, ('consumer', consumer), 'DELETE',
                       f'/allocations/{consumer}')
            del self.consumers[consumer]
            self.gone.add(consumer)

    def read_generation(self, client):
        return client('GET', f'/resource_providers/{self.provider}')[
            'generation']

    def put_inventory(self, client):
        total = self.rng.randint(1_000_000, 2_000_000)
        answer = self.write(
            client, ('inventory', total), 'PUT',
            f'/resource_providers/{self.provider}/inventories', {
                'resource_provider_generation': self.read_generation(client),
                'inventories': {'VCPU': {'total': total}}})
        self.total = total
        self.generation = answer['resource_provider_generation']

    def put_traits(self, client):
        traits = self.rng.sample(
            ['HW_NUMA_ROOT', 'STORAGE_DISK_SSD', 'HW_CPU_X86_AVX2',
             'HW_CPU_X86_AVX', 'COMPUTE_NODE', CUSTOM_TRAIT], self.rng.randint(0, 4))
        answer = self.write(
            client, ('traits', sorted(traits)), 'PUT',
            f'/resource_providers/{self.provider}/traits', {
                'resource_provider_generation': self.read_generation(client),
                'traits': traits})
        self.traits = sorted(traits)
        self.generation = answer['resource_provider_generation']

    def losses(self, client):
        """The answered writes that the server does not know after its new start."""
        about, value = self.unanswered or (None, None)
        path = f'/resource_providers/{self.provider}'
        found = []

        held = client('GET', path + '/inventories')
        totals = {self.total} | ({value} if about == 'inventory' else set())
        if held['inventories']['VCPU']['total'] not in totals:
            found.append(f'inventory {held}, not {totals}')
        if held['resource_provider_generation'] < self.generation:
            found.append(f'generation {held}, before {self.generation}')

        traits = sorted(client('GET', path + '/traits')['traits'])
        allowed = [self.traits or []] + ([value] if about == 'traits' else [])
        if traits not in allowed:
            found.append(f'traits {traits}, not {allowed}')

        for consumer in sorted(self.consumers.keys() | self.gone):
            if (about, value) == ('consumer', consumer):
                continue
            held = client('GET', f'/allocations/{consumer}')['allocations']
            amounts = {provider: claimed['resources']['VCPU']
                       for provider, claimed in held.items()}
            expected = self.consumers.get(consumer, {})
            if amounts != expected:
                found.append(f'{consumer} has {amounts}, not {expected}')
        return [f'writer {self.number}: {loss}' for loss in found]

    def again(self, url, rng):
        """The same writer for the server's next life."""
        heir = Writer(self.number, url, self.shared, rng)
        heir.provider = self.provider
        client = api.Api(url)
        path = f'/resource_providers/{self.provider}'
        held = client('GET', path + '/inventories')
        heir.total = held['inventories']['VCPU']['total']
        heir.generation = held['resource_provider_generation']
        heir.traits = sorted(client('GET', path + '/traits')['traits'])
        return heir
