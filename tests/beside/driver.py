"""Random writes through one of two servers, each followed by looks through the other one."""

import collections
import random
import time
import uuid

from api import Api
from fleetmodel import CLASSES, TRAITS, Consumer, Model, Provider, Refused, capacity

AGGREGATES = [str(uuid.UUID(int=number)) for number in (1, 2)]
OWNERS = [('red', 'alice'), ('red', 'bob'), ('blue', 'alice')]
MOST_PROVIDERS, MOST_CONSUMERS = 10, 12
# The pause before the next look, while ours may still answer as before a write of another program.
PAUSE = 0.1


class Wrong(AssertionError):
    pass


class Driver:
    """`others` are servers and programs that are not ours. If `patience` is not 0, ours may show their writes so many
    seconds later, in what it answers from memory.
    """

    def __init__(self, ours, upstream, database, seed, patience=0):
        self.rng = random.Random(seed)
        self.ours, self.upstream, self.database = Api(ours), Api(upstream), database
        self.patience = patience
        self.model = Model()
        self.history = collections.deque(maxlen=25)
        self.counts = collections.Counter()
        self.number = 0
        self.late = 0

    # Running

    def run(self, steps):
        for name in CLASSES + TRAITS:
            if name.startswith('CUSTOM_'):
                path = 'resource_classes' if name in CLASSES else 'traits'
                (self.model.classes if name in CLASSES else self.model.traits).add(name)
                self.ours('PUT', f'/{path}/{name}')
        for step in range(steps):
            try:
                self.step()
            except AssertionError as error:
                shown = '\n'.join(self.history)
                raise Wrong(f'step {step}: {error}\nThe last writes:\n{shown}') from error
        self.settle()

    def step(self):
        writes = [(self.create, 3 if len(self.model.providers) < MOST_PROVIDERS else 0), (self.rename, 1),
                  (self.move, 1), (self.delete, 1), (self.put_inventories, 3), (self.put_inventory, 2),
                  (self.delete_inventory, 1), (self.put_traits, 3), (self.put_aggregates, 2),
                  (self.make_name, 1), (self.delete_name, 1),
                  (self.claim, 6 if len(self.model.consumers) < MOST_CONSUMERS else 0), (self.claim_again, 3),
                  (self.release, 4), (self.move_claims, 2), (self.reshape, 1), (self.stale, 1), (self.by_hand, 1)]
        write = self.rng.choices(*zip(*writes))[0]
        self.writer, self.reader = self.rng.sample([self.ours, self.upstream], 2)
        if not self.model.providers:
            write = self.create
        write()
        looks = [self.look_at_list, self.look_at_list, self.look_at_candidates, self.look_at_candidates,
                 self.look_at_provider, self.look_at_claims, self.look_at_names, self.look_at_generation]
        for look in self.rng.sample(looks, 2):
            look(self.reader)
        # Each server finds its own writes too.
        if self.rng.random() < 0.2:
            self.rng.choice(looks)(self.writer)

    def settle(self):
        """At the end both show all that there is."""
        for server in (self.ours, self.upstream):
            self.compare(server, '/resource_providers', self.listed, self.model.list())
            for name in CLASSES:
                self.compare_candidates(server, f'resources={name}:1', [(name, 1)])

    def note(self, words):
        who = 'ours' if self.writer is self.ours else 'upstream'
        self.history.append(f'{who}: {words}')

    def send(self, method, path, body=None, refused=None):
        """A write, which succeeds, or is refused as the model refuses it."""
        response = self.writer.send(method, path, body)
        status = response.status_code
        self.note(f'{method} {path} {body if body is not None else ""} -> {status}')
        right = response.is_success if refused is None else status == refused.status
        assert right, f'{method} {path} {body}: {status} {response.text}, the model: {refused or "success"}'
        self.counts[f'{method} {"refused" if refused else "done"}'] += 1
        return not refused

    @staticmethod
    def refusal(check, *arguments):
        try:
            check(*arguments)
        except Refused as refused:
            return refused
        return None

    def generation(self, provider):
        """As the reader has it; ours answers a list from memory, and a single provider from the database."""
        if self.patience:
            return self.reader('GET', f'/resource_providers/{provider}')['generation']
        found = self.reader('GET', f'/resource_providers?uuid={provider}')['resource_providers']
        assert len(found) == 1, f'{provider} is not listed'
        return found[0]['generation']

    # Writes

    def new_uuid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def any_provider(self):
        return self.model.providers[self.rng.choice(sorted(self.model.providers))]

    def create(self):
        parent = self.any_provider().uuid if self.model.providers and self.rng.random() < 0.5 else None
        taken = {provider.name for provider in self.model.providers.values()}
        # A name may have been that of a provider that is gone.
        name = self.rng.choice([f'host{number}' for number in range(2 * MOST_PROVIDERS)])
        made = Provider(self.new_uuid(), name, parent)
        refused = Refused() if name in taken else None
        body = {'name': name, 'uuid': made.uuid, 'parent_provider_uuid': parent}
        if self.send('POST', '/resource_providers', body, refused):
            self.model.providers[made.uuid] = made

    def rename(self):
        provider = self.any_provider()
        name = f'renamed{self.rng.randrange(1000)}'
        refused = Refused() if any(each.name == name and each is not provider
                                   for each in self.model.providers.values()) else None
        body = {'name': name, 'parent_provider_uuid': provider.parent}
        if self.send('PUT', f'/resource_providers/{provider.uuid}', body, refused):
            provider.name = name

    def move(self):
        provider = self.any_provider()
        below = self.model.below(provider.uuid)
        parents = [None, *(each for each in self.model.providers if each not in below)]
        parent = self.rng.choice(parents)
        self.send('PUT', f'/resource_providers/{provider.uuid}',
                  {'name': provider.name, 'parent_provider_uuid': parent})
        provider.parent = parent

    def delete(self):
        provider = self.any_provider()
        refused = self.refusal(self.model.check_delete, provider.uuid)
        if self.send('DELETE', f'/resource_providers/{provider.uuid}', refused=refused):
            del self.model.providers[provider.uuid]

    def inventory(self):
        total = self.rng.randint(4, 16)
        return {'total': total, 'reserved': self.rng.choice([0, 0, 1]), 'min_unit': self.rng.choice([1, 1, 2]),
                'max_unit': self.rng.choice([4, total]), 'step_size': self.rng.choice([1, 1, 2]),
                'allocation_ratio': self.rng.choice([1.0, 1.0, 0.5, 1.5, 2.0])}

    def put_inventories(self):
        provider = self.any_provider()
        wanted = {name: self.inventory() for name in self.classes() if self.rng.random() < 0.6}
        refused = self.refusal(self.model.check_inventories, provider.uuid, wanted)
        body = {'resource_provider_generation': self.generation(provider.uuid), 'inventories': wanted}
        if self.send('PUT', f'/resource_providers/{provider.uuid}/inventories', body, refused):
            provider.inventories = wanted

    def put_inventory(self):
        provider, name, wanted = self.any_provider(), self.rng.choice(self.classes()), self.inventory()
        path = f'/resource_providers/{provider.uuid}/inventories'
        generation = self.generation(provider.uuid)
        if name in provider.inventories:
            self.send('PUT', f'{path}/{name}', {'resource_provider_generation': generation, **wanted})
        else:
            self.send('POST', path, {
                'resource_provider_generation': generation, 'resource_class': name, **wanted})
        provider.inventories[name] = wanted

    def delete_inventory(self):
        provider = self.any_provider()
        if not provider.inventories:
            return
        name = self.rng.choice(sorted(provider.inventories))
        kept = {each: value for each, value in provider.inventories.items() if each != name}
        path = f'/resource_providers/{provider.uuid}/inventories/{name}'
        refused = self.refusal(self.model.check_inventories, provider.uuid, kept)
        if self.send('DELETE', path, refused=refused):
            provider.inventories = kept

    def classes(self):
        return sorted(self.model.classes | set(CLASSES))

    def trait_names(self):
        return sorted(self.model.traits | set(TRAITS))

    def put_traits(self):
        provider = self.any_provider()
        path = f'/resource_providers/{provider.uuid}/traits'
        if self.rng.random() < 0.15:
            self.send('DELETE', path)
            provider.traits = set()
            return
        wanted = {name for name in self.trait_names() if self.rng.random() < 0.4}
        self.send('PUT', path, {
            'resource_provider_generation': self.generation(provider.uuid), 'traits': sorted(wanted)})
        provider.traits = wanted

    def put_aggregates(self):
        provider = self.any_provider()
        wanted = {name for name in AGGREGATES if self.rng.random() < 0.5}
        self.send('PUT', f'/resource_providers/{provider.uuid}/aggregates', {
            'resource_provider_generation': self.generation(provider.uuid), 'aggregates': sorted(wanted)})
        provider.aggregates = wanted

    def make_name(self):
        name = f'CUSTOM_BESIDE_{self.rng.randrange(6)}'
        known, path = self.rng.choice([(self.model.traits, 'traits'), (self.model.classes, 'resource_classes')])
        self.send('PUT', f'/{path}/{name}')
        known.add(name)

    def delete_name(self):
        known, path, check = self.rng.choice([
            (self.model.traits, 'traits', self.model.check_delete_trait),
            (self.model.classes, 'resource_classes', self.model.check_delete_class)])
        name = f'CUSTOM_BESIDE_{self.rng.randrange(6)}'
        refused = Refused(404) if name not in known else self.refusal(check, name)
        if self.send('DELETE', f'/{path}/{name}', refused=refused):
            known.remove(name)

    def random_claims(self):
        """Amounts of one to three providers, which need not have room."""
        claims = {}
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            provider = self.any_provider()
            if provider.inventories:
                name = self.rng.choice(sorted(provider.inventories))
                claims.setdefault(provider.uuid, {})[name] = self.rng.choice([1, 2, 2, 4])
        return claims

    @staticmethod
    def body(claims, owner, generation):
        return {'allocations': {provider: {'resources': amounts} for provider, amounts in claims.items()},
                'project_id': owner[0], 'user_id': owner[1], 'consumer_generation': generation,
                'consumer_type': 'INSTANCE'}

    def claim(self):
        key, owner, claims = self.new_uuid(), self.rng.choice(OWNERS), self.random_claims()
        if not claims:
            return
        refused = self.refusal(self.model.check_claims, {key: claims})
        if self.send('PUT', f'/allocations/{key}', self.body(claims, owner, None), refused):
            self.model.consumers[key] = Consumer(owner, claims)

    def any_consumer(self):
        return self.rng.choice(sorted(self.model.consumers)) if self.model.consumers else None

    def consumer_generation(self, key):
        return self.reader('GET', f'/allocations/{key}')['consumer_generation']

    def claim_again(self):
        key, claims = self.any_consumer(), self.random_claims()
        if key is None or not claims:
            return
        consumer = self.model.consumers[key]
        refused = self.refusal(self.model.check_claims, {key: claims})
        body = self.body(claims, consumer.owner, self.consumer_generation(key))
        if self.send('PUT', f'/allocations/{key}', body, refused):
            consumer.claims = claims

    def release(self):
        key = self.any_consumer()
        if key is not None:
            self.send('DELETE', f'/allocations/{key}')
            del self.model.consumers[key]

    def move_claims(self):
        """The claims of one consumer become those of a new one, in one transaction."""
        key = self.any_consumer()
        if key is None:
            return
        consumer, heir = self.model.consumers[key], self.new_uuid()
        refused = self.refusal(self.model.check_claims, {key: {}, heir: consumer.claims})
        body = {key: self.body({}, consumer.owner, self.consumer_generation(key)),
                heir: self.body(consumer.claims, consumer.owner, None)}
        if self.send('POST', '/allocations', body, refused):
            self.model.consumers[heir] = self.model.consumers.pop(key)

    def reshape(self):
        """An inventory goes to another provider, with all that is claimed of it."""
        pairs = [(old, new, name) for old in self.model.providers.values() for name in sorted(old.inventories)
                 for new in self.model.providers.values() if name not in new.inventories
                 and self.model.used(old.uuid, name) <= capacity(old.inventories[name])]
        if not pairs:
            return
        old, new, name = self.rng.choice(pairs)
        inventory = {**old.inventories[name], 'min_unit': 1, 'max_unit': 16, 'step_size': 1}
        kept = {each: value for each, value in old.inventories.items() if each != name}
        grown = {**new.inventories, name: inventory}
        changed = {}
        for key, consumer in self.model.consumers.items():
            amount = consumer.claims.get(old.uuid, {}).get(name)
            if amount is not None:
                claims = {uuid: dict(amounts) for uuid, amounts in consumer.claims.items()}
                del claims[old.uuid][name]
                claims.setdefault(new.uuid, {})[name] = amount
                changed[key] = {uuid: amounts for uuid, amounts in claims.items() if amounts}
        # All claims of a changed consumer are checked anew, also those of a provider that has become too small.
        later = Model()
        later.providers = {key: Provider(key, None, None) for key in self.model.providers}
        for key, provider in self.model.providers.items():
            later.providers[key].inventories = provider.inventories
        later.providers[old.uuid].inventories, later.providers[new.uuid].inventories = kept, grown
        later.consumers = self.model.consumers
        if self.refusal(later.check_claims, changed):
            return
        self.send('POST', '/reshaper', {
            'inventories': {each.uuid: {'resource_provider_generation': self.generation(each.uuid),
                                        'inventories': wanted} for each, wanted in [(old, kept), (new, grown)]},
            'allocations': {key: self.body(claims, self.model.consumers[key].owner, self.consumer_generation(key))
                            for key, claims in changed.items()}})
        old.inventories, new.inventories = kept, grown
        for key, claims in changed.items():
            self.model.consumers[key].claims = claims

    def stale(self):
        """A write with an old generation is refused by both."""
        provider = self.any_provider()
        body = {'resource_provider_generation': self.generation(provider.uuid) + 1, 'aggregates': []}
        self.send('PUT', f'/resource_providers/{provider.uuid}/aggregates', body, Refused())

    def by_hand(self):
        """SQL that no server has sent."""
        self.writer, self.reader = None, self.rng.choice([self.ours, self.upstream])
        provider = self.any_provider()
        of_provider = f"(SELECT id FROM resource_providers WHERE uuid = '{provider.uuid}')"
        kind = self.rng.randrange(3)
        if kind == 0 and provider.inventories:
            for inventory in provider.inventories.values():
                inventory['total'] += 1
            sql = f'UPDATE inventories SET total = total + 1 WHERE resource_provider_id = {of_provider}'
        elif kind == 1 and self.model.consumers:
            key = self.any_consumer()
            del self.model.consumers[key]
            sql = f"DELETE FROM allocations WHERE consumer_id = '{key}'"
        else:
            provider.traits = set()
            sql = f'DELETE FROM resource_provider_traits WHERE resource_provider_id = {of_provider}'
        self.history.append(f'by hand: {sql}')
        self.counts['SQL'] += 1
        self.database.execute([sql])
        self.writer = self.upstream

    # Looks

    def compare(self, server, path, read, expected):
        """The answer is the model's; of ours it may be so a little later, if it is to be patient."""
        deadline = time.monotonic() + (self.patience if server is self.ours else 0)
        while True:
            response = server.send('GET', path)
            found = read(response) if response.status_code == 200 else response.status_code
            self.counts['looks'] += 1
            if found == expected:
                return
            if time.monotonic() >= deadline:
                who = 'ours' if server is self.ours else 'upstream'
                raise AssertionError(f'{who}: GET {path}\n  shows {found}\n  not   {expected}')
            self.late += 1
            time.sleep(PAUSE)

    @staticmethod
    def listed(response):
        keys = ('uuid', 'name', 'parent_provider_uuid', 'root_provider_uuid')
        return {each['uuid']: {key: each[key] for key in keys} for each in response.json()['resource_providers']}

    def filters(self, may_forbid=True):
        """A query string without its resources, and the same for the model."""
        text, arguments = '', {}
        if self.rng.random() < 0.3:
            required, forbidden = [], []
            for name in self.rng.sample(TRAITS, self.rng.choice([1, 1, 2])):
                (required if not may_forbid or self.rng.random() < 0.7 else forbidden).append(name)
            text += '&required=' + ','.join(required + [f'!{name}' for name in forbidden])
            arguments.update(required=required, forbidden=forbidden)
        if self.rng.random() < 0.25:
            arguments['member_of'] = self.rng.choice(AGGREGATES)
            text += f'&member_of={arguments["member_of"]}'
        if self.model.providers and self.rng.random() < 0.2:
            arguments['in_tree'] = self.any_provider().uuid
            text += f'&in_tree={arguments["in_tree"]}'
        names = self.rng.sample(CLASSES, self.rng.randint(0, 2))
        resources = [(name, self.rng.choice([1, 1, 2, 4])) for name in names]
        return text, resources, arguments

    def look_at_list(self, server):
        text, resources, arguments = self.filters()
        if resources:
            text += '&resources=' + ','.join(f'{name}:{amount}' for name, amount in resources)
        if self.model.providers and self.rng.random() < 0.2:
            arguments['name'] = self.any_provider().name
            text += f'&name={arguments["name"]}'
        expected = self.model.list(resources=resources, **arguments)
        self.compare(server, f'/resource_providers?{text[1:]}', self.listed, expected)

    def look_at_candidates(self, server):
        # Upstream takes the name of a forbidden trait for its id: PostgreSQL refuses that, MariaDB forbids nothing.
        text, resources, arguments = self.filters(may_forbid=server is self.ours)
        resources = resources or [(self.rng.choice(CLASSES), 1)]
        query = 'resources=' + ','.join(f'{name}:{amount}' for name, amount in resources)
        self.compare_candidates(server, query + text, resources, **arguments)

    def compare_candidates(self, server, query, resources, **arguments):
        def read(response):
            answer = response.json()
            found = {frozenset((provider, name, amount) for provider, taken in request['allocations'].items()
                               for name, amount in taken['resources'].items())
                     for request in answer['allocation_requests']}
            for summary in answer['provider_summaries'].values():
                summary['traits'].sort()
            return found, answer['provider_summaries']
        self.compare(server, f'/allocation_candidates?{query}', read,
                     self.model.candidates(resources, **arguments))

    def look_at_provider(self, server):
        """A provider by itself, and its parts."""
        if not self.model.providers:
            return
        provider = self.any_provider()
        path = f'/resource_providers/{provider.uuid}'
        parts = [
            ('', lambda answer: {key: answer[key] for key in self.model.listed(provider.uuid)},
             self.model.listed(provider.uuid)),
            ('/inventories', lambda answer: answer['inventories'], provider.inventories),
            ('/traits', lambda answer: set(answer['traits']), provider.traits),
            ('/aggregates', lambda answer: set(answer['aggregates']), provider.aggregates),
            ('/usages', lambda answer: answer['usages'],
             {name: self.model.used(provider.uuid, name) for name in provider.inventories}),
            ('/allocations', lambda answer: {key: each['resources'] for key, each in answer['allocations'].items()},
             {key: consumer.claims[provider.uuid] for key, consumer in self.model.consumers.items()
              if provider.uuid in consumer.claims}),
        ]
        part, read, expected = self.rng.choice(parts)
        self.compare(server, path + part, lambda response: read(response.json()), expected)

    def look_at_claims(self, server):
        key = self.any_consumer() or self.new_uuid()
        consumer = self.model.consumers.get(key, Consumer(None, {}))
        self.compare(server, f'/allocations/{key}', lambda response: {
            provider: each['resources'] for provider, each in response.json()['allocations'].items()},
            consumer.claims)
        project = self.rng.choice(OWNERS)[0]
        sums = collections.Counter()
        for consumer in self.model.consumers.values():
            if consumer.owner[0] == project:
                for amounts in consumer.claims.values():
                    sums.update(amounts)
        # Upstream fails at newer versions on PostgreSQL.
        found = server('GET', f'/usages?project_id={project}', version='1.9')['usages']
        assert found == dict(sums), f'the usages of {project} are {found}, not {dict(sums)}'

    def look_at_names(self, server):
        self.compare(server, '/traits?name=startswith:CUSTOM_BESIDE',
                     lambda response: set(response.json()['traits']), self.model.traits)
        self.compare(server, '/resource_classes', lambda response: {
            each['name'] for each in response.json()['resource_classes']
            if each['name'].startswith('CUSTOM_BESIDE')}, self.model.classes)

    def look_at_generation(self, server):
        """Both servers show the same generation, in a list and by itself."""
        if not self.model.providers:
            return
        uuid = self.any_provider().uuid
        expected = self.upstream('GET', f'/resource_providers/{uuid}')['generation']
        self.compare(server, f'/resource_providers?uuid={uuid}',
                     lambda response: [each['generation'] for each in response.json()['resource_providers']],
                     [expected])
        found = server('GET', f'/resource_providers/{uuid}')['generation']
        assert found == expected, f'the generation of {uuid} is {found}, not {expected}'
