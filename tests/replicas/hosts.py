"""A host to change in every way, and all the ways to look at it."""

import itertools
import json
import uuid

from api import Api

NUMBERS = itertools.count(1)
LOT = 16


def new_uuid():
    return str(uuid.uuid4())


class Host:
    """A provider with a child, a second provider beside it, and names of its own for everything.

    It is made through one replica, and only through that one.
    """

    def __init__(self, url):
        self.api = Api(url)
        number = next(NUMBERS)
        self.name = f'host-{number}-{new_uuid()[:8]}'
        mark = self.name.upper().replace('-', '_')
        self.trait, self.new_trait = f'CUSTOM_{mark}', f'CUSTOM_NEW_{mark}'
        self.cls, self.new_cls = f'CUSTOM_{mark}_CLASS', f'CUSTOM_NEW_{mark}_CLASS'
        self.uuid, self.child, self.other = new_uuid(), new_uuid(), new_uuid()
        self.aggregate, self.new_aggregate = new_uuid(), new_uuid()
        self.consumer, self.new_consumer = new_uuid(), new_uuid()
        self.project = f'project-{number}-{new_uuid()[:8]}'
        # Providers that do not exist yet.
        self.new_name, self.new_uuid = f'new-{self.name}', new_uuid()
        self.make()

    def make(self):
        api = self.api
        api('POST', '/resource_providers', {'name': self.name, 'uuid': self.uuid})
        api('POST', '/resource_providers', {
            'name': f'child-{self.name}', 'uuid': self.child, 'parent_provider_uuid': self.uuid})
        api('POST', '/resource_providers', {'name': f'other-{self.name}', 'uuid': self.other})
        api('PUT', f'/traits/{self.trait}')
        api('PUT', f'/resource_classes/{self.cls}')
        self.put(self.uuid, 'inventories', {'VCPU': {'total': LOT}, self.cls: {'total': LOT}})
        self.put(self.other, 'inventories', {'VCPU': {'total': LOT}})
        self.put(self.uuid, 'traits', [self.trait])
        self.put(self.uuid, 'aggregates', [self.aggregate])
        self.claim(self.consumer, {self.uuid: 2})

    def generation(self, provider):
        return self.api('GET', f'/resource_providers/{provider}')['generation']

    def put(self, provider, part, value):
        self.api('PUT', f'/resource_providers/{provider}/{part}', {
            'resource_provider_generation': self.generation(provider), part: value})

    def body(self, amounts, generation=None):
        return {'allocations': {provider: {'resources': {'VCPU': amount}} for provider, amount in amounts.items()},
                'project_id': self.project, 'user_id': 'user', 'consumer_type': 'INSTANCE',
                'consumer_generation': generation}

    def claim(self, consumer, amounts):
        held = self.api('GET', f'/allocations/{consumer}').get('consumer_generation')
        self.api('PUT', f'/allocations/{consumer}', self.body(amounts, held))


# The changes that a client may make.

def make_provider(host):
    host.api('POST', '/resource_providers', {'name': host.new_name, 'uuid': host.new_uuid})


def make_child(host):
    host.api('POST', '/resource_providers', {
        'name': host.new_name, 'uuid': host.new_uuid, 'parent_provider_uuid': host.uuid})


def rename(host):
    host.api('PUT', f'/resource_providers/{host.other}', {'name': host.new_name})


def move_child(host):
    host.api('PUT', f'/resource_providers/{host.child}', {
        'name': f'child-{host.name}', 'parent_provider_uuid': host.other})


def delete_provider(host):
    host.api('DELETE', f'/resource_providers/{host.other}')


def set_inventories(host):
    host.put(host.other, 'inventories', {'VCPU': {'total': 2 * LOT}, host.cls: {'total': 1}})


def add_inventory(host):
    host.api('POST', f'/resource_providers/{host.other}/inventories', {
        'resource_provider_generation': host.generation(host.other), 'resource_class': host.cls, 'total': 1})


def change_inventory(host):
    host.api('PUT', f'/resource_providers/{host.other}/inventories/VCPU', {
        'resource_provider_generation': host.generation(host.other), 'total': 2 * LOT})


def delete_inventory(host):
    host.api('DELETE', f'/resource_providers/{host.other}/inventories/VCPU')


def delete_inventories(host):
    host.api('DELETE', f'/resource_providers/{host.other}/inventories')


def make_trait(host):
    host.api('PUT', f'/traits/{host.new_trait}')


def set_traits(host):
    host.put(host.other, 'traits', [host.trait])


def drop_traits(host):
    host.api('DELETE', f'/resource_providers/{host.uuid}/traits')


def delete_trait(host):
    host.api('DELETE', f'/resource_providers/{host.uuid}/traits')
    host.api('DELETE', f'/traits/{host.trait}')


def make_class(host):
    host.api('PUT', f'/resource_classes/{host.new_cls}')


def delete_class(host):
    host.api('DELETE', f'/resource_providers/{host.uuid}/inventories/{host.cls}')
    host.api('DELETE', f'/resource_classes/{host.cls}')


def set_aggregates(host):
    host.put(host.other, 'aggregates', [host.aggregate])


def drop_aggregates(host):
    host.put(host.uuid, 'aggregates', [])


def claim_all(host):
    host.claim(host.new_consumer, {host.uuid: LOT - 2, host.other: LOT})


def claim_more(host):
    host.claim(host.consumer, {host.uuid: LOT})


def move_claim(host):
    host.claim(host.consumer, {host.other: LOT})


def swap_claims(host):
    held = host.api('GET', f'/allocations/{host.consumer}')['consumer_generation']
    host.api('POST', '/allocations', {
        host.consumer: {**host.body({}, held), 'allocations': {}}, host.new_consumer: host.body({host.other: LOT})})


def release(host):
    host.api('DELETE', f'/allocations/{host.consumer}')


def reshape(host):
    """The inventory of the host and its claim go to the child."""
    held = host.api('GET', f'/allocations/{host.consumer}')['consumer_generation']
    host.api('POST', '/reshaper', {
        'inventories': {
            host.uuid: {'resource_provider_generation': host.generation(host.uuid), 'inventories': {}},
            host.child: {'resource_provider_generation': host.generation(host.child),
                         'inventories': {'VCPU': {'total': LOT}}}},
        'allocations': {host.consumer: host.body({host.child: LOT}, held)}})


# The ways to look at a host: paths, all at the latest version. Searches and lists come first, then reads of one thing.

def candidates(more=''):
    return lambda host: f'/allocation_candidates?resources=VCPU:{LOT - 2}{more.format(host=host)}'


LOOKS = {
    'candidates on the host': candidates('&in_tree={host.uuid}'),
    'candidates on the other': candidates('&in_tree={host.other}'),
    'candidates by trait': candidates('&required={host.trait}'),
    'candidates by new trait': candidates('&required={host.new_trait}'),
    'candidates without trait': candidates('&in_tree={host.other}&required=!{host.trait}'),
    'candidates by aggregate': candidates('&member_of={host.aggregate}'),
    'candidates by class': lambda host: f'/allocation_candidates?resources={host.cls}:1',
    'candidates by new class': lambda host: f'/allocation_candidates?resources={host.new_cls}:1',
    'list by name': lambda host: f'/resource_providers?name={host.name}',
    'list by new name': lambda host: f'/resource_providers?name={host.new_name}',
    'list by uuid': lambda host: f'/resource_providers?uuid={host.uuid}',
    'list by new uuid': lambda host: f'/resource_providers?uuid={host.new_uuid}',
    'list of the tree': lambda host: f'/resource_providers?in_tree={host.uuid}',
    'list of the other tree': lambda host: f'/resource_providers?in_tree={host.other}',
    'list by resources': lambda host: f'/resource_providers?resources=VCPU:{LOT}&in_tree={host.other}',
    'list by class': lambda host: f'/resource_providers?resources={host.cls}:1',
    'list by trait': lambda host: f'/resource_providers?required={host.trait}',
    'list by new trait': lambda host: f'/resource_providers?required={host.new_trait}',
    'list by aggregate': lambda host: f'/resource_providers?member_of={host.aggregate}',
    'host': lambda host: f'/resource_providers/{host.uuid}',
    'other': lambda host: f'/resource_providers/{host.other}',
    'child': lambda host: f'/resource_providers/{host.child}',
    'new': lambda host: f'/resource_providers/{host.new_uuid}',
    'inventories': lambda host: f'/resource_providers/{host.other}/inventories',
    'inventory': lambda host: f'/resource_providers/{host.other}/inventories/VCPU',
    'traits of the host': lambda host: f'/resource_providers/{host.uuid}/traits',
    'traits of the other': lambda host: f'/resource_providers/{host.other}/traits',
    'aggregates of the host': lambda host: f'/resource_providers/{host.uuid}/aggregates',
    'aggregates of the other': lambda host: f'/resource_providers/{host.other}/aggregates',
    'usages': lambda host: f'/resource_providers/{host.uuid}/usages',
    'allocations of the host': lambda host: f'/resource_providers/{host.uuid}/allocations',
    'allocations of the consumer': lambda host: f'/allocations/{host.consumer}',
    'allocations of the new consumer': lambda host: f'/allocations/{host.new_consumer}',
    'usages of the project': lambda host: f'/usages?project_id={host.project}',
    'trait': lambda host: f'/traits/{host.trait}',
    'new trait': lambda host: f'/traits/{host.new_trait}',
    'traits by name': lambda host: f'/traits?name=in:{host.trait},{host.new_trait}',
    'class': lambda host: f'/resource_classes/{host.cls}',
    'new class': lambda host: f'/resource_classes/{host.new_cls}',
}

CHANGES = {
    make_provider: ['list by new name', 'list by new uuid', 'new'],
    make_child: ['list by new name', 'list of the tree', 'candidates on the host', 'new'],
    rename: ['list by new name', 'list of the other tree', 'other'],
    move_child: ['list of the tree', 'list of the other tree', 'candidates on the other', 'child'],
    delete_provider: ['list of the other tree', 'candidates on the other', 'candidates without trait', 'other'],
    set_inventories: ['list by class', 'candidates by class', 'candidates on the other', 'inventories', 'inventory'],
    add_inventory: ['list by class', 'candidates by class', 'candidates on the other', 'inventories'],
    change_inventory: ['candidates on the other', 'list of the other tree', 'inventories', 'inventory'],
    delete_inventory: ['list by resources', 'candidates on the other', 'inventories', 'inventory'],
    delete_inventories: ['list by resources', 'candidates on the other', 'inventories', 'inventory'],
    make_trait: ['list by new trait', 'candidates by new trait', 'new trait', 'traits by name'],
    set_traits: ['list by trait', 'candidates by trait', 'candidates without trait', 'traits of the other'],
    drop_traits: ['list by trait', 'candidates by trait', 'traits of the host'],
    delete_trait: ['list by trait', 'candidates by trait', 'trait', 'traits by name'],
    make_class: ['candidates by new class', 'new class'],
    delete_class: ['candidates by class', 'list by class', 'class'],
    set_aggregates: ['list by aggregate', 'candidates by aggregate', 'aggregates of the other'],
    drop_aggregates: ['list by aggregate', 'candidates by aggregate', 'aggregates of the host'],
    claim_all: ['list by resources', 'list by uuid', 'candidates on the host', 'candidates on the other', 'usages',
                'allocations of the host', 'allocations of the new consumer', 'usages of the project', 'host'],
    claim_more: ['candidates on the host', 'candidates by trait', 'candidates by aggregate', 'usages',
                 'allocations of the consumer', 'usages of the project'],
    move_claim: ['candidates on the host', 'candidates on the other', 'list by resources', 'usages',
                 'allocations of the host', 'allocations of the consumer'],
    swap_claims: ['candidates on the host', 'candidates on the other', 'list by resources',
                  'allocations of the consumer', 'allocations of the new consumer'],
    release: ['candidates on the host', 'candidates by trait', 'candidates by aggregate', 'usages',
              'allocations of the consumer', 'usages of the project'],
    reshape: ['candidates on the host', 'candidates by trait', 'list of the tree', 'usages', 'child',
              'allocations of the consumer'],
}


def plain(value):
    """An answer in no order, and without what each request has of its own."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != 'request_id'}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=repr)
    return value


def look(client, name, host):
    """The sight of one client."""
    return seen(client.send('GET', LOOKS[name](host)))


def seen(answer):
    """The status of an answer, and its body."""
    return answer.status_code, plain(answer.json()) if answer.content else None


def short(sight):
    """The same, for people."""
    status, body = sight
    return f'{status} {json.dumps(body)[:300]}'
