"""A model of the answers of two servers on one database: providers, claims and names as plain Python."""

import itertools

CLASSES = ['VCPU', 'MEMORY_MB', 'CUSTOM_BESIDE_SLOT']
TRAITS = ['HW_CPU_X86_AVX', 'STORAGE_DISK_SSD', 'CUSTOM_BESIDE_A']


class Refused(Exception):
    """The model refuses a write; the servers have to refuse it with this status."""

    def __init__(self, status=409):
        super().__init__(status)
        self.status = status


def capacity(inventory):
    return (inventory['total'] - inventory['reserved']) * inventory['allocation_ratio']


class Provider:
    def __init__(self, uuid, name, parent):
        self.uuid, self.name, self.parent = uuid, name, parent
        self.inventories, self.traits, self.aggregates = {}, set(), set()


class Consumer:
    def __init__(self, owner, claims):
        # Project and user; amounts by provider and class.
        self.owner, self.claims = owner, claims


class Model:
    def __init__(self):
        self.providers, self.consumers = {}, {}
        self.traits, self.classes = set(), set()

    # Trees

    def root(self, uuid):
        parent = self.providers[uuid].parent
        return self.root(parent) if parent else uuid

    def tree(self, uuid):
        return [each for each in self.providers if self.root(each) == self.root(uuid)]

    def below(self, uuid):
        """A provider and all providers below it."""
        found = [uuid]
        for each in found:
            found += [child.uuid for child in self.providers.values() if child.parent == each]
        return found

    # Usage

    def used(self, uuid, name):
        return sum(consumer.claims.get(uuid, {}).get(name, 0) for consumer in self.consumers.values())

    def has_room(self, uuid, name, amount, used_before=0):
        inventory = self.providers[uuid].inventories.get(name)
        if inventory is None or amount % inventory['step_size'] \
                or not inventory['min_unit'] <= amount <= inventory['max_unit']:
            return False
        # A provider that has become too small keeps its claims, also in another form.
        return self.used(uuid, name) + amount <= max(capacity(inventory), used_before)

    # Writes; each is refused or done as a whole

    def check_inventories(self, uuid, kept):
        """An inventory that is in use is not taken away."""
        for name in self.providers[uuid].inventories:
            if name not in kept and self.used(uuid, name):
                raise Refused

    def check_claims(self, changed):
        """Claims by consumer, which replace those of these consumers."""
        later = Model()
        later.providers = self.providers
        later.consumers = {key: consumer for key, consumer in self.consumers.items() if key not in changed}
        for claims in changed.values():
            for uuid, amounts in claims.items():
                for name, amount in amounts.items():
                    if not later.has_room(uuid, name, amount, self.used(uuid, name)):
                        raise Refused
            later.consumers[object()] = Consumer(None, claims)

    def check_delete(self, uuid):
        if len(self.below(uuid)) > 1 or any(uuid in consumer.claims for consumer in self.consumers.values()):
            raise Refused

    def check_delete_trait(self, name):
        if any(name in provider.traits for provider in self.providers.values()):
            raise Refused

    def check_delete_class(self, name):
        if any(name in provider.inventories for provider in self.providers.values()):
            raise Refused

    # Answers

    def listed(self, uuid):
        provider = self.providers[uuid]
        return {'uuid': uuid, 'name': provider.name, 'parent_provider_uuid': provider.parent,
                'root_provider_uuid': self.root(uuid)}

    def list(self, name=None, in_tree=None, resources=(), required=(), forbidden=(), member_of=None):
        """The providers that a list with these filters shows."""
        def fits(provider):
            return ((name is None or provider.name == name)
                    and (in_tree is None or in_tree in self.providers
                         and self.root(provider.uuid) == self.root(in_tree))
                    and all(self.has_room(provider.uuid, each, amount) for each, amount in resources)
                    and provider.traits.issuperset(required) and provider.traits.isdisjoint(forbidden)
                    and (member_of is None or member_of in provider.aggregates))
        return {uuid: self.listed(uuid) for uuid, provider in self.providers.items() if fits(provider)}

    def candidates(self, resources, required=(), forbidden=(), member_of=None, in_tree=None):
        """Candidates for different classes in one group, and the summaries of their trees."""
        found, trees = set(), set()
        for root in {self.root(uuid) for uuid in self.providers}:
            if in_tree is not None and (in_tree not in self.providers or self.root(in_tree) != root):
                continue
            members = [self.providers[uuid] for uuid in self.tree(root)]
            if member_of is not None and member_of not in self.providers[root].aggregates:
                members = [each for each in members if member_of in each.aggregates]
            members = [each for each in members if each.traits.isdisjoint(forbidden)]
            choices = [[each.uuid for each in members if self.has_room(each.uuid, name, amount)]
                       for name, amount in resources]
            for chosen in itertools.product(*choices):
                if set().union(*(self.providers[uuid].traits for uuid in chosen)).issuperset(required):
                    found.add(frozenset((uuid, name, amount) for uuid, (name, amount) in zip(chosen, resources)))
                    trees.add(root)
        summaries = {uuid: self.summary(uuid) for root in trees for uuid in self.tree(root)}
        return found, summaries

    def summary(self, uuid):
        provider = self.providers[uuid]
        return {'parent_provider_uuid': provider.parent, 'root_provider_uuid': self.root(uuid),
                'traits': sorted(provider.traits),
                'resources': {name: {'capacity': int(capacity(inventory)), 'used': self.used(uuid, name)}
                              for name, inventory in provider.inventories.items()}}
