"""Random fleets and random queries for allocation candidates, drawn from a seed."""

import os
import random
import uuid

NAMESPACE = uuid.UUID('0f0b3a63-5c1e-4a55-9a5c-3d1b8a7c9e10')
SHARING = 'MISC_SHARES_VIA_AGGREGATE'
CLASSES = ['VCPU', 'MEMORY_MB', 'DISK_GB', 'SRIOV_NET_VF', 'CUSTOM_SLOT']
TRAITS = ['HW_CPU_X86_AVX', 'STORAGE_DISK_SSD', 'CUSTOM_A', 'CUSTOM_B']
AGGREGATES = ['rack', 'row', 'disks']
MINORS = [10, 11, 12, 16, 17, 21, 22, 25, 27, 29, 31, 34, 35, 36, 37]


def seed():
    """The seed to draw from: a new one, or that of a run to repeat."""
    given = os.environ.get('ALLOTMENT_TEST_SEED')
    return int(given) if given else random.SystemRandom().randrange(1 << 40)


def name_to_uuid(name):
    return str(uuid.uuid5(NAMESPACE, name))


class Provider:
    def __init__(self, name, parent=None):
        self.name = name
        self.uuid = name_to_uuid(name)
        self.parent = parent
        self.inventories = {}
        self.traits = set()
        self.aggregates = set()

    def equip(self, rng):
        """Give it other inventories, traits and aggregates."""
        shares = SHARING in self.traits
        self.inventories = {name: random_inventory(rng) for name in CLASSES
                            if rng.random() < 0.6}
        self.traits = {name for name in TRAITS if rng.random() < 0.5}
        self.aggregates = {name for name in AGGREGATES if rng.random() < 0.4}
        if shares:
            self.share(rng)

    def share(self, rng):
        self.traits.add(SHARING)
        self.aggregates.add(rng.choice(AGGREGATES))

    @property
    def root(self):
        return self.parent.root if self.parent else self


def random_inventory(rng):
    total = rng.randint(2, 12)

    def usually(usual, other):
        return usual if rng.random() < 0.85 else other

    return dict(total=total, reserved=usually(0, 1), min_unit=usually(1, 2),
                max_unit=rng.choice([2147483647, 2147483647, total, 2, 4]),
                step_size=usually(1, 2),
                allocation_ratio=rng.choice([1.0, 1.0, 1.0, 0.5, 1.1, 16.0]))


class World:
    """A few trees and some sharing providers."""

    def __init__(self, rng, prefix):
        self.providers = []
        nested = rng.random() < 0.75
        for tree in range(rng.randint(1, 4)):
            members = []
            for number in range(rng.randint(1, 5) if nested else 1):
                parent = rng.choice(members) if members else None
                members.append(self.add(rng, f'{prefix}-{tree}-{number}',
                                        parent))
        if rng.random() < 0.5:
            for number in range(rng.randint(1, 2)):
                # Mostly one by itself, sometimes one in a tree.
                parent = (rng.choice(self.providers)
                          if rng.random() < 0.25 else None)
                sharer = self.add(rng, f'{prefix}-shared-{number}', parent)
                sharer.share(rng)

    def add(self, rng, name, parent):
        provider = Provider(name, parent)
        provider.equip(rng)
        self.providers.append(provider)
        return provider

    def write(self, api):
        """Make it through the API."""
        for provider in self.providers:
            api('POST', '/resource_providers', {
                'name': provider.name, 'uuid': provider.uuid,
                'parent_provider_uuid':
                    provider.parent and provider.parent.uuid})
            write_parts(api, provider)

    def use(self, api, rng):
        """Allocate from some of its inventories."""
        for provider in self.providers:
            for name, inventory in provider.inventories.items():
                room = (inventory['total'] - inventory['reserved']
                        ) * inventory['allocation_ratio']
                amount = inventory['min_unit'] * inventory['step_size']
                if amount <= min(room, inventory['max_unit']) \
                        and rng.random() < 0.35:
                    claim(api, {provider.uuid: {'resources': {name: amount}}})

    def delete(self, api):
        for provider in reversed(self.providers):
            path = f'/resource_providers/{provider.uuid}'
            for consumer in api('GET', path + '/allocations')['allocations']:
                api('DELETE', f'/allocations/{consumer}')
            api('DELETE', path)


def write_names(api):
    """Make the classes and traits that no server has by itself."""
    for name in CLASSES:
        if name.startswith('CUSTOM_'):
            api('PUT', f'/resource_classes/{name}')
    for name in TRAITS:
        if name.startswith('CUSTOM_'):
            api('PUT', f'/traits/{name}')


def write_parts(api, provider):
    """Set a provider's inventories, traits and aggregates."""
    path = f'/resource_providers/{provider.uuid}'
    generation = api('GET', path)['generation']
    for part, value in [
            ('inventories', provider.inventories),
            ('traits', sorted(provider.traits)),
            ('aggregates', sorted(map(name_to_uuid, provider.aggregates)))]:
        answer = api('PUT', f'{path}/{part}', {
            'resource_provider_generation': generation, part: value})
        generation = answer['resource_provider_generation']


def claim(api, allocations):
    """Claim for a new consumer; returns its uuid."""
    consumer = str(uuid.uuid4())
    api('PUT', f'/allocations/{consumer}', {
        'allocations': allocations, 'project_id': 'red', 'user_id': 'alice',
        'consumer_generation': None, 'consumer_type': 'INSTANCE'})
    return consumer


class Query:
    """A query string for /allocation_candidates, at a version."""

    def __init__(self, rng, world):
        self.rng = rng
        self.minor = 39 if rng.random() < 0.5 else rng.choice(MINORS)
        self.version = f'1.{self.minor}'
        # Groups by suffix, each a list of parameters.
        self.groups = {}
        numbered = rng.choice([0, 0, 1, 1, 2, 2, 3]) if self.minor >= 25 else 0
        if not numbered or rng.random() < 0.6:
            self.groups[''] = self.group('', world)
        for number in range(numbered):
            suffix = ['1', '_B', 'x-3'][number] if self.minor >= 33 \
                else str(number + 1)
            self.groups[suffix] = self.group(suffix, world)
        self.wide = []
        self.add_wide_parameters(numbered)
        self.text = '&'.join(
            [f'{key}={value}' for group in self.groups.values()
             for key, value in group] + self.wide)

    def values(self, suffix, name):
        """The values of a parameter of a group."""
        return [value for key, value in self.groups[suffix]
                if key == name + suffix]

    def classes(self, suffix):
        """The classes that a group asks for."""
        return {pair.split(':')[0] for value in self.values(suffix, 'resources')
                for pair in value.split(',')}

    def some(self, of, most):
        return self.rng.sample(of, self.rng.randint(1, most))

    def add_wide_parameters(self, numbered):
        rng = self.rng
        suffixes = [suffix for suffix in self.groups if suffix]
        self.policy = None
        if numbered > 1 or (self.minor >= 25 and rng.random() < 0.5):
            self.policy = rng.choice(['none', 'isolate'])
            self.wide.append(f'group_policy={self.policy}')
        if self.minor >= 35 and rng.random() < 0.15:
            names = [rng.choice(['', '!']) + name
                     for name in self.some(TRAITS, 2)]
            self.wide.append(f'root_required={",".join(names)}')
        if self.minor >= 36 and suffixes and rng.random() < 0.4:
            for _ in range(rng.randint(1, 2)):
                chosen = self.some(suffixes, len(suffixes))
                self.wide.append(f'same_subtree={",".join(chosen)}')
            for suffix in chosen:
                if rng.random() < 0.4 and len(self.with_resources()) > 1:
                    self.take_resources_away(suffix)

    def with_resources(self):
        return [suffix for suffix in self.groups
                if self.values(suffix, 'resources')]

    def take_resources_away(self, suffix):
        left = [(key, value) for key, value in self.groups[suffix]
                if not key.startswith('resources')]
        self.groups[suffix] = left or [
            (f'required{suffix}', self.rng.choice(TRAITS))]

    def group(self, suffix, world):
        rng = self.rng
        most = rng.choice([1, 1, 2]) if suffix else 3
        group = [(f'resources{suffix}', value)
                 for value in self.resources(most)]
        if self.minor >= 17 and rng.random() < 0.3:
            group += [(f'required{suffix}', value)
                      for value in self.required()]
        if self.minor >= 21 and rng.random() < 0.2:
            group += [(f'member_of{suffix}', value)
                      for value in self.member_of()]
        if self.minor >= 31 and rng.random() < 0.07:
            tree = rng.choice(world.providers).uuid
            group.append((f'in_tree{suffix}', tree))
        return group

    def resources(self, most=2):
        yield ','.join(f'{name}:{self.rng.choice([1, 1, 1, 2, 2, 3])}'
                       for name in self.some(CLASSES, most))

    def required(self):
        names = self.some(TRAITS + [SHARING], 2)
        if self.minor >= 39 and self.rng.random() < 0.4:
            yield f'in:{",".join(names)}'
            names = [name for name in TRAITS if name not in names][:1]
        if self.minor >= 22:
            names = [('!' if self.rng.random() < 0.3 else '') + name
                     for name in names]
        yield ','.join(names)

    def member_of(self):
        for _ in range(self.rng.choice([1, 1, 2]) if self.minor >= 24 else 1):
            uuids = [name_to_uuid(name)
                     for name in self.some(AGGREGATES + ['nowhere'], 3)]
            value = f'in:{",".join(uuids)}' if len(uuids) > 1 else uuids[0]
            if self.minor >= 32 and self.rng.random() < 0.3:
                value = '!' + value
            yield value


class ListQuery:
    """A query string for /resource_providers, at a version."""

    MINORS = [0, 1, 3, 4, 6, 11, 13, 14, 18, 19, 22, 24, 32, 39]

    def __init__(self, rng, world):
        minor = rng.choice(self.MINORS)
        self.version = f'1.{minor}'
        # A group's parameters, with all that a list does not know left out.
        query = Query.__new__(Query)
        query.rng, query.minor = rng, minor
        parameters = []
        for name, since, likely, values in [
                ('resources', 4, 0.4, query.resources),
                ('required', 18, 0.4, query.required),
                ('member_of', 3, 0.3, query.member_of),
                ('in_tree', 14, 0.2, lambda: [
                    rng.choice(world.providers).uuid]),
                ('uuid', 0, 0.1, lambda: [rng.choice(world.providers).uuid]),
                ('name', 0, 0.1, lambda: [rng.choice(world.providers).name])]:
            if minor >= since and rng.random() < likely:
                parameters += [(name, value) for value in values()]
        self.text = '&'.join(f'{key}={value}' for key, value in parameters)


def normalised(answer):
    """The candidates and summaries of an answer, in no order."""
    candidates = []
    for request in answer['allocation_requests']:
        allocations = request['allocations']
        if isinstance(allocations, list):
            allocations = {item['resource_provider']['uuid']: item
                           for item in allocations}
        taken = tuple(sorted(
            (provider, name, amount)
            for provider, item in allocations.items()
            for name, amount in item['resources'].items()))
        mappings = request.get('mappings')
        candidates.append((taken, mappings and tuple(sorted(
            (suffix, tuple(sorted(uuids)))
            for suffix, uuids in mappings.items()))))
    summaries = answer['provider_summaries']
    for summary in summaries.values():
        if 'traits' in summary:
            summary['traits'].sort()
    return sorted(candidates, key=repr), summaries
