"""The requests whose exchanges are the samples: a walk through every operation.

Each step is one request at one microversion, told to which operation it belongs
and how it must be answered. The steps build on one another, so they are sent
in order to a service with an empty database.
"""

import dataclasses
import uuid

NEWEST = '1.39'

HOST = '21d7c4f0-6a0e-4b0c-8f2b-3a8ff1f0a001'
NUMA0 = '21d7c4f0-6a0e-4b0c-8f2b-3a8ff1f0a002'
NUMA1 = '21d7c4f0-6a0e-4b0c-8f2b-3a8ff1f0a003'
POOL = '21d7c4f0-6a0e-4b0c-8f2b-3a8ff1f0a004'
OLD = '21d7c4f0-6a0e-4b0c-8f2b-3a8ff1f0a005'
RACK = 'a7b6c1de-52f3-4ad8-9d61-5c4b17e2b001'
SITE = 'a7b6c1de-52f3-4ad8-9d61-5c4b17e2b002'
VM1 = 'c0f5e8a2-9b1d-4c63-a1d7-7e2f90b4c001'
VM2 = 'c0f5e8a2-9b1d-4c63-a1d7-7e2f90b4c002'
VM3 = 'c0f5e8a2-9b1d-4c63-a1d7-7e2f90b4c003'
NOBODY = '00000000-1111-4222-8333-444444444444'

ADMIN = 'admin'


@dataclasses.dataclass
class Step:
    """One exchange, before it has taken place."""

    name: str
    # The operation, as METHOD /path/{with}/{braces}; what fills the braces; what follows the path.
    operation: str
    title: str
    status: int
    fill: dict = dataclasses.field(default_factory=dict)
    query: str = ''
    body: object = None
    # The microversion; None where there are none.
    version: str | None = NEWEST
    # The error code that is to be answered.
    code: str | None = None
    token: str | None = ADMIN
    headers: dict = dataclasses.field(default_factory=dict)
    # Where a body as long as this would only be in the way.
    body_shown: bool = True

    @property
    def method(self):
        return self.operation.partition(' ')[0]

    @property
    def target(self):
        path = self.operation.partition(' ')[2].format(**self.fill)
        return path + (f'?{self.query}' if self.query else '')


def made(number):
    """What stands in the samples for the uuid that the service makes up as its first, second, …"""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))


def claim(*parts, generation=None, **more):
    """The body of a claim at the newest version; each part is a provider and its resources."""
    return {'allocations': {provider: {'resources': resources} for provider, resources in parts},
            'project_id': 'lab', 'user_id': 'ann', 'consumer_type': 'INSTANCE',
            'consumer_generation': generation, **more}


def documents():
    yield Step('versions', 'GET /', 'The versions', 200, token=None)
    yield Step('openapi', 'GET /openapi.json', 'The document of one version', 200,
               query='microversion=1.39', token=None, body_shown=False)
    yield Step('docs', 'GET /docs', 'The page', 200, token=None, body_shown=False)
    yield Step('openapi-bad', 'GET /openapi.json', 'An unknown version', 400,
               query='microversion=1.99', token=None, code='placement.undefined_code')


def providers():
    create, at = 'POST /resource_providers', '/resource_providers/{uuid}'
    yield Step('provider-create', create, 'A host', 200, body={'name': 'host1', 'uuid': HOST})
    yield Step('provider-create-child', create, 'A part of the host', 200,
               body={'name': 'host1_numa0', 'uuid': NUMA0, 'parent_provider_uuid': HOST})
    yield Step('provider-create-child-2', create, 'Another part', 200,
               body={'name': 'host1_numa1', 'uuid': NUMA1, 'parent_provider_uuid': HOST})
    yield Step('provider-create-1.19', create, 'Before 1.20', 201, version='1.19',
               body={'name': 'pool1', 'uuid': POOL})
    yield Step('provider-create-taken', create, 'The name is taken', 409,
               body={'name': 'host1', 'uuid': OLD}, code='placement.duplicate_name')
    yield Step('provider-create-1.0', create, 'At 1.0', 201, version='1.0',
               body={'name': 'old', 'uuid': OLD})
    yield Step('provider-list', 'GET /resource_providers', 'The tree of a host', 200,
               query=f'in_tree={HOST}')
    yield Step('provider-list-1.0', 'GET /resource_providers', 'At 1.0', 200, query='name=host1',
               version='1.0')
    yield Step('provider-list-bad', 'GET /resource_providers', 'An unknown filter', 400,
               query='colour=blue', code='placement.undefined_code')
    yield Step('provider-show', f'GET {at}', 'A part of a host', 200, {'uuid': NUMA0})
    yield Step('provider-show-missing', f'GET {at}', 'There is none', 404, {'uuid': NOBODY},
               code='placement.undefined_code')
    yield Step('provider-update', f'PUT {at}', 'Another name and another parent', 200, {'uuid': OLD},
               body={'name': 'host1_numa2', 'parent_provider_uuid': HOST})
    yield Step('provider-delete', f'DELETE {at}', 'Gone', 204, {'uuid': OLD})
    yield Step('provider-delete-parent', f'DELETE {at}', 'It has children', 409, {'uuid': HOST},
               code='placement.resource_provider.cannot_delete_parent')


def classes():
    one, gpu, fpga = '/resource_classes/{name}', {'name': 'CUSTOM_GPU'}, {'name': 'CUSTOM_FPGA'}
    yield Step('class-create', 'POST /resource_classes', 'A custom class', 201,
               body={'name': 'CUSTOM_GPU'})
    yield Step('class-create-taken', 'POST /resource_classes', 'The name is taken', 409,
               body={'name': 'CUSTOM_GPU'}, code='placement.undefined_code')
    yield Step('class-put-new', f'PUT {one}', 'It is new', 201, fpga)
    yield Step('class-put', f'PUT {one}', 'It was there', 204, fpga)
    yield Step('class-put-1.2', f'PUT {one}', 'Renamed, before 1.7', 200, fpga, version='1.2',
               body={'name': 'CUSTOM_FPGA2'})
    yield Step('class-show', f'GET {one}', 'A class', 200, gpu)
    yield Step('class-list', 'GET /resource_classes', 'All of them', 200)
    yield Step('class-delete', f'DELETE {one}', 'Gone', 204, {'name': 'CUSTOM_FPGA2'})
    yield Step('class-delete-standard', f'DELETE {one}', 'Standard classes stay', 400,
               {'name': 'VCPU'}, code='placement.undefined_code')


def inventories():
    every, one = '/resource_providers/{uuid}/inventories', '/resource_providers/{uuid}/inventories/{resource_class}'
    yield Step('inventories-replace', f'PUT {every}', 'CPUs and memory of a part', 200, {'uuid': NUMA0}, body={
        'resource_provider_generation': 0, 'inventories': {
            'VCPU': {'total': 8, 'allocation_ratio': 2.0},
            'MEMORY_MB': {'total': 16384, 'reserved': 512}}})
    yield Step('inventories-replace-2', f'PUT {every}', 'The other part', 200, {'uuid': NUMA1}, body={
        'resource_provider_generation': 0, 'inventories': {
            'VCPU': {'total': 8}, 'MEMORY_MB': {'total': 16384}, 'CUSTOM_GPU': {'total': 2}}})
    yield Step('inventories-replace-stale', f'PUT {every}', 'Somebody was faster', 409, {'uuid': NUMA0}, body={
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': 16}}},
        code='placement.concurrent_update')
    yield Step('inventory-create', f'POST {every}', 'Disk of a pool', 201, {'uuid': POOL}, body={
        'resource_class': 'DISK_GB', 'total': 1000, 'resource_provider_generation': 0})
    yield Step('inventory-create-2', f'POST {every}', 'Addresses of a pool', 201, {'uuid': POOL}, body={
        'resource_class': 'IPV4_ADDRESS', 'total': 250, 'resource_provider_generation': 1})
    yield Step('inventory-create-again', f'POST {every}', 'There is such an inventory', 409, {'uuid': POOL}, body={
        'resource_class': 'DISK_GB', 'total': 1000, 'resource_provider_generation': 2},
        code='placement.concurrent_update')
    yield Step('inventories-list', f'GET {every}', 'The inventories of a part', 200, {'uuid': NUMA0})
    yield Step('inventory-show', f'GET {one}', 'One class', 200,
               {'uuid': NUMA0, 'resource_class': 'VCPU'})
    yield Step('inventory-update', f'PUT {one}', 'More of it', 200,
               {'uuid': POOL, 'resource_class': 'DISK_GB'},
               body={'resource_provider_generation': 2, 'total': 2000, 'max_unit': 500})
    yield Step('inventory-update-bad', f'PUT {one}', 'More reserved than there is', 400,
               {'uuid': POOL, 'resource_class': 'DISK_GB'},
               body={'resource_provider_generation': 3, 'total': 10, 'reserved': 11},
               code='placement.undefined_code')
    yield Step('inventory-delete', f'DELETE {one}', 'Gone', 204,
               {'uuid': POOL, 'resource_class': 'IPV4_ADDRESS'})
    yield Step('inventories-host', f'PUT {every}', 'Slots of the host, for now', 200, {'uuid': HOST}, body={
        'resource_provider_generation': 0, 'inventories': {'PCI_DEVICE': {'total': 4}}})
    yield Step('inventories-delete', f'DELETE {every}', 'All gone', 204, {'uuid': HOST})
    yield Step('inventories-delete-1.4', f'DELETE {every}', 'Before 1.5', 405, {'uuid': HOST},
               version='1.4')


def traits():
    one, fast = '/traits/{name}', {'name': 'CUSTOM_FAST'}
    yield Step('trait-put-new', f'PUT {one}', 'It is new', 201, fast)
    yield Step('trait-put', f'PUT {one}', 'It was there', 204, fast)
    yield Step('trait-put-bad', f'PUT {one}', 'No name for a custom trait', 400,
               {'name': 'fast'}, code='placement.undefined_code')
    yield Step('trait-show', f'GET {one}', 'There is one', 204, fast)
    yield Step('trait-show-missing', f'GET {one}', 'There is none', 404, {'name': 'CUSTOM_SLOW'},
               code='placement.undefined_code')
    yield Step('trait-put-2', f'PUT {one}', 'One more', 201, {'name': 'CUSTOM_OLD'})
    yield Step('trait-list', 'GET /traits', 'Custom traits', 200,
               query='name=startswith:CUSTOM_')
    yield Step('trait-delete', f'DELETE {one}', 'Gone', 204, {'name': 'CUSTOM_OLD'})


def traits_of_providers():
    every, numa0 = '/resource_providers/{uuid}/traits', {'uuid': NUMA0}
    yield Step('provider-traits-replace', f'PUT {every}', 'The traits of a part', 200, numa0, body={
        'resource_provider_generation': 1, 'traits': ['HW_CPU_X86_AVX2', 'CUSTOM_FAST']})
    yield Step('provider-traits-stale', f'PUT {every}', 'Somebody was faster', 409, numa0, body={
        'resource_provider_generation': 1, 'traits': ['HW_CPU_X86_AVX2']},
        code='placement.concurrent_update')
    yield Step('provider-traits-show', f'GET {every}', 'The traits', 200, numa0)
    yield Step('provider-traits-sharing', f'PUT {every}', 'A pool that others share', 200,
               {'uuid': POOL}, body={'resource_provider_generation': 4,
                                     'traits': ['MISC_SHARES_VIA_AGGREGATE']})
    yield Step('provider-traits-2', f'PUT {every}', 'The other part, for now', 200, {'uuid': NUMA1}, body={
        'resource_provider_generation': 1, 'traits': ['CUSTOM_FAST']})
    yield Step('provider-traits-delete', f'DELETE {every}', 'None any more', 204, {'uuid': NUMA1})
    yield Step('trait-delete-used', 'DELETE /traits/{name}', 'Some provider has it', 409,
               {'name': 'CUSTOM_FAST'}, code='placement.undefined_code')


def aggregates():
    every = '/resource_providers/{uuid}/aggregates'
    yield Step('aggregates-replace', f'PUT {every}', 'The host in a rack', 200, {'uuid': HOST}, body={
        'resource_provider_generation': 2, 'aggregates': [RACK, SITE]})
    yield Step('aggregates-stale', f'PUT {every}', 'Somebody was faster', 409, {'uuid': HOST}, body={
        'resource_provider_generation': 2, 'aggregates': [RACK]}, code='placement.concurrent_update')
    yield Step('aggregates-replace-1.1', f'PUT {every}', 'Before 1.19', 200, {'uuid': POOL},
               version='1.1', body=[RACK])
    yield Step('aggregates-show', f'GET {every}', 'Where the host is', 200, {'uuid': HOST})


def candidates():
    find = 'GET /allocation_candidates'
    yield Step('candidates', find, 'Two CPUs, memory and disk', 200,
               query='resources=VCPU:2,MEMORY_MB:2048,DISK_GB:20&limit=1')
    yield Step('candidates-groups', find, 'CPUs with AVX2 and a GPU, of different parts', 200,
               query='resources_CPU=VCPU:2&required_CPU=HW_CPU_X86_AVX2&resources_GPU=CUSTOM_GPU:1'
                     f'&in_tree_CPU={HOST}&group_policy=isolate')
    yield Step('candidates-none', find, 'It fits nowhere', 200, query='resources=VCPU:100')
    yield Step('candidates-1.10', find, 'At 1.10', 200, version='1.10',
               query='resources=CUSTOM_GPU:1')
    yield Step('candidates-bad-value', find, 'A group without a resource', 400,
               query='resources=VCPU:2&required1=CUSTOM_FAST',
               code='placement.query.bad_value')
    yield Step('candidates-missing-value', find, 'No resources in any group', 400,
               query='required1=CUSTOM_FAST&same_subtree=1',
               code='placement.query.missing_value')
    yield Step('candidates-duplicate-key', find, 'A parameter twice', 400,
               query='resources=VCPU:1&root_required=CUSTOM_FAST&root_required=!CUSTOM_FAST',
               code='placement.query.duplicate_key')
    yield Step('candidates-bad', find, 'A resource class that there is not', 400,
               query='resources=CUSTOM_NONE:1', code='placement.undefined_code')


def allocations():
    one, several = '/allocations/{consumer_uuid}', 'POST /allocations'
    vm1, vm2 = {'consumer_uuid': VM1}, {'consumer_uuid': VM2}
    yield Step('claim', f'PUT {one}', 'A new consumer', 204, vm1, body=claim(
        (NUMA0, {'VCPU': 4, 'MEMORY_MB': 2048}), (POOL, {'DISK_GB': 20})))
    yield Step('claim-show', f'GET {one}', 'Its allocations', 200, vm1)
    yield Step('claim-again', f'PUT {one}', 'It grows', 204, vm1, body=claim(
        (NUMA0, {'VCPU': 6, 'MEMORY_MB': 4096}), (POOL, {'DISK_GB': 20}), generation=1))
    yield Step('claim-stale', f'PUT {one}', 'Somebody was faster', 409, vm1, body=claim(
        (NUMA0, {'VCPU': 2}), generation=1), code='placement.concurrent_update')
    yield Step('claim-full', f'PUT {one}', 'It does not fit', 409, {'consumer_uuid': VM3},
               body=claim((NUMA1, {'VCPU': 4}), (POOL, {'DISK_GB': 600})), code='placement.undefined_code')
    yield Step('claim-1.12', f'PUT {one}', 'At 1.12', 204, {'consumer_uuid': VM3}, version='1.12', body={
        'allocations': {NUMA1: {'resources': {'VCPU': 1}}}, 'project_id': 'lab', 'user_id': 'ben'})
    yield Step('claim-1.0', f'PUT {one}', 'At 1.0', 204, vm2, version='1.0', body={
        'allocations': [{'resource_provider': {'uuid': NUMA1}, 'resources': {'VCPU': 1}}]})
    yield Step('claim-show-1.0', f'GET {one}', 'At 1.0', 200, vm2, version='1.0')
    yield Step('claim-delete', f'DELETE {one}', 'It holds nothing any more', 204, vm2)
    yield Step('claim-delete-missing', f'DELETE {one}', 'It held nothing', 404, vm2,
               code='placement.undefined_code')
    yield Step('claim-several', several, 'A move: one consumer gives, another takes', 204, body={
        VM1: claim((NUMA0, {'VCPU': 2, 'MEMORY_MB': 2048}), generation=2),
        VM2: claim((NUMA0, {'VCPU': 4, 'MEMORY_MB': 2048}), (POOL, {'DISK_GB': 20}))})
    yield Step('claim-several-stale', several, 'Somebody was faster', 409, body={
        VM1: claim((NUMA0, {'VCPU': 1}), generation=2)}, code='placement.concurrent_update')
    yield Step('provider-allocations', 'GET /resource_providers/{uuid}/allocations',
               'Its consumers', 200, {'uuid': NUMA0})


def usages():
    yield Step('provider-usages', 'GET /resource_providers/{uuid}/usages', 'How much of it is used',
               200, {'uuid': NUMA0})
    yield Step('usages', 'GET /usages', 'A project, by type of consumer', 200, query='project_id=lab')
    yield Step('usages-1.9', 'GET /usages', 'At 1.9', 200, query='project_id=lab', version='1.9')


def in_use():
    yield Step('inventories-in-use', 'PUT /resource_providers/{uuid}/inventories',
               'A class that is given out would go', 409, {'uuid': NUMA0}, body={
                   'resource_provider_generation': 5, 'inventories': {'VCPU': {'total': 8}}},
               code='placement.inventory.inuse')
    yield Step('provider-in-use', 'DELETE /resource_providers/{uuid}', 'It is in use', 409,
               {'uuid': NUMA0}, code='placement.resource_provider.inuse')


def reshaper():
    yield Step('reshape', 'POST /reshaper', 'A GPU gets a provider of its own, with who holds it',
               204, body={
                   'inventories': {
                       NUMA0: {'resource_provider_generation': 5, 'inventories': {
                           'VCPU': {'total': 8, 'allocation_ratio': 2.0},
                           'MEMORY_MB': {'total': 16384, 'reserved': 512}}},
                       NUMA1: {'resource_provider_generation': 5, 'inventories': {
                           'VCPU': {'total': 16}, 'MEMORY_MB': {'total': 16384},
                           'CUSTOM_GPU': {'total': 2}}}},
                   'allocations': {
                       VM1: claim((NUMA1, {'VCPU': 2, 'MEMORY_MB': 2048}), generation=3)}})
    yield Step('reshape-missing', 'POST /reshaper', 'There is no such provider', 400, body={
        'inventories': {NOBODY: {'resource_provider_generation': 0, 'inventories': {}}},
        'allocations': {}}, code='placement.resource_provider.not_found')


FIRST, SECOND, GROUP = made(0), made(1), made(2)
# Those of the group are the fourth and the fifth uuid.
CNAPI_FIRST, CNAPI_SECOND, CNAPI_OVER, CNAPI_DRAFT = made(5), made(6), made(7), made(8)
# The service's second address, which takes no tokens.
DOOR, DOOR_TICKET = 'cnapi.example.com', made(9)
WORKFLOW = '5b9c2d7e-0f4a-4e7b-9c1d-6a2f8e3b7001'


def tickets():
    every, one = '/resource_providers/{uuid}/waitlist', '/resource_providers/{uuid}/waitlist/{ticket}'
    numa1, wanted = {'uuid': NUMA1}, {'scope': 'vm', 'id': VM1}
    first, second = {'uuid': NUMA1, 'ticket': FIRST}, {'uuid': NUMA1, 'ticket': SECOND}
    yield Step('ticket-take', f'POST {every}', 'Nobody was before it', 201, numa1, body={
        **wanted, 'lease_seconds': 60, 'action': 'resize', 'extra': {'to': 'large'}})
    yield Step('ticket-take-queued', f'POST {every}', 'It has to wait', 201, numa1, body={
        **wanted, 'expires_at': '2099-01-01T00:00:00Z'})
    yield Step('ticket-take-only-if-free', f'POST {every}', 'Only if nobody ever asked before', 409, numa1,
               body={**wanted, 'lease_seconds': 60, 'queue_generation': None},
               code='placement.concurrent_update')
    yield Step('ticket-take-bad', f'POST {every}', 'No end', 400, numa1, body=wanted,
               code='placement.undefined_code')
    yield Step('ticket-list', f'GET {every}', 'Active and queued tickets', 200, numa1)
    yield Step('ticket-show', f'GET {one}', 'It waits', 200, second)
    yield Step('ticket-renew', f'PUT {one}', 'Two more minutes', 200, first,
               body={'generation': 1, 'lease_seconds': 120})
    yield Step('ticket-renew-stale', f'PUT {one}', 'It is not as it was seen', 409, first,
               body={'generation': 1, 'lease_seconds': 120}, code='placement.concurrent_update')
    yield Step('fenced', 'PUT /allocations/{consumer_uuid}', 'Fenced by a ticket that is active', 204,
               {'consumer_uuid': VM1}, body=claim((NUMA1, {'VCPU': 4, 'MEMORY_MB': 2048}), generation=4),
               headers={'X-Waitlist-Ticket': FIRST})
    yield Step('ticket-release', f'DELETE {one}', 'Done; the next one is active', 204, first)
    yield Step('fenced-late', 'PUT /allocations/{consumer_uuid}', 'Fenced by a ticket that has ended', 409,
               {'consumer_uuid': VM1}, body=claim((NUMA1, {'VCPU': 8, 'MEMORY_MB': 2048}), generation=5),
               headers={'X-Waitlist-Ticket': FIRST}, code='placement.waitlist.not_active')
    yield Step('ticket-wait', f'GET {one}', 'Its turn has come', 200, second,
               query='wait=true&timeout=30')
    yield Step('ticket-show-ended', f'GET {one}', 'It has ended', 200, first)
    yield Step('ticket-renew-ended', f'PUT {one}', 'It has ended', 409, first,
               body={'generation': 3, 'lease_seconds': 60}, code='placement.waitlist.ended')
    yield Step('ticket-missing', f'GET {one}', 'There is none', 404, {'uuid': NUMA1, 'ticket': NOBODY},
               code='placement.waitlist.ticket_not_found')
    yield Step('ticket-release-2', f'DELETE {one}', 'Only as it was seen', 204, second, query='generation=2')
    several, group = 'POST /waitlist', {'group': GROUP}
    yield Step('tickets-take', several, 'One on each of two hosts', 201, body={
        'tickets': [{'resource_provider_uuid': NUMA1, **wanted},
                    {'resource_provider_uuid': NUMA0, **wanted}],
        'lease_seconds': 300, 'action': 'migrate'})
    yield Step('tickets-take-missing', several, 'There is no such provider', 400, body={
        'tickets': [{'resource_provider_uuid': NOBODY, **wanted}], 'lease_seconds': 300},
        code='placement.resource_provider.not_found')
    yield Step('tickets-wait', 'GET /waitlist/{group}', 'All are active', 200, group,
               query='wait=true&timeout=30')
    yield Step('tickets-renew', 'PUT /waitlist/{group}', 'More time for all', 200, group,
               body={'generation': 1, 'lease_seconds': 600})
    yield Step('tickets-list', 'GET /waitlist', 'All that are active', 200, query='status=active')
    yield Step('tickets-release', 'DELETE /waitlist/{group}', 'Done', 204, group)


def cnapi():
    """The dialects of CNAPI, which have no versions. The last step takes away all tickets of a part."""
    every, one = '/servers/{server}/tickets', '/tickets/{ticket}'
    numa1, first, second = {'server': NUMA1}, {'ticket': CNAPI_FIRST}, {'ticket': CNAPI_SECOND}
    wanted = {'scope': 'vm', 'id': VM1, 'expires_at': '2099-01-01T00:00:00.000Z'}

    def step(name, operation, title, status, fill, **more):
        return Step(name, operation, title, status, fill, version=None, **more)

    yield step('cnapi-take', f'POST {every}', 'Nobody was before it', 202, numa1, body={
        **wanted, 'action': 'resize', 'extra': {'to': 'large'}, 'req_id': WORKFLOW})
    yield step('cnapi-take-queued', f'POST {every}', 'It has to wait', 202, numa1, body=wanted)
    yield step('cnapi-take-bad', f'POST {every}', 'No end', 409, numa1, code='InvalidArgument',
               body={'scope': 'vm', 'id': VM1})
    yield step('cnapi-take-missing', f'POST {every}', 'There is no such server', 404,
               {'server': NOBODY}, code='ResourceNotFound', body=wanted)
    yield step('cnapi-list', f'GET {every}', 'All that there are', 200, numa1, query='limit=5&offset=3')
    yield step('cnapi-list-bad', f'GET {every}', 'Not a number', 409, numa1, query='limit=ten',
               code='InvalidParameters')
    yield step('cnapi-list-unknown', f'GET {every}', 'Nobody says who asks', 401, numa1, token=None,
               code='InvalidCredentials')
    yield step('cnapi-show', f'GET {one}', 'It waits', 200, second)
    yield Step('cnapi-seen', 'GET /resource_providers/{uuid}/waitlist/{ticket}',
               'A ticket that was taken in the dialect of CNAPI', 200,
               {'uuid': NUMA1, 'ticket': CNAPI_FIRST})
    yield step('cnapi-release', f'PUT {one}/release', 'Done; the next one is active', 204, first, body={})
    yield step('cnapi-wait', f'GET {one}/wait', 'Its turn has come', 204, second)
    yield step('cnapi-wait-finished', f'GET {one}/wait', 'It is finished', 409, first,
               code='InvalidArgument')
    yield step('cnapi-delete', f'DELETE {one}', 'Gone', 204, second)
    yield step('cnapi-show-missing', f'GET {one}', 'There is none any more', 404, second,
               code='ResourceNotFound')
    yield step('cnapi-take-over', f'POST {every}', 'Its time is over already', 202, numa1, body={
        **wanted, 'id': VM2, 'expires_at': '2013-10-10T00:00:00.000Z'})
    draft, there = '/servers/{server}/waitlist', {'server': NUMA1, 'ticket': CNAPI_DRAFT}
    yield step('draft-take', f'POST {draft}', 'A ticket', 200, numa1, body={
        'scope': 'vm', 'uid': VM2, 'expires': '2099-01-01T00:00:00'})
    yield step('draft-take-bad', f'POST {draft}', 'Neither name of the thing', 400, numa1,
               code='BadRequest', body={'scope': 'vm'})
    yield step('draft-wait', f'GET {draft}/{{ticket}}', 'Its turn has come', 200, there,
               query='wait=true')
    yield step('cnapi-wait-expired', f'GET {one}/wait', 'It has expired', 500, {'ticket': CNAPI_OVER},
               code='InternalError')
    yield step('draft-list', f'GET {draft}', 'Active and queued tickets', 200, numa1,
               query=f'scope=vm&id={VM2}')
    yield step('draft-delete', f'DELETE {draft}/{{ticket}}', 'Gone; the next one is active', 202, there)
    yield step('draft-show-missing', f'GET {draft}/{{ticket}}', 'There is none any more', 404, there,
               code='ResourceNotFound')
    yield step('cnapi-clear-unforced', f'DELETE {every}', 'Not forced', 412, numa1,
               code='PreconditionFailed')
    yield step('cnapi-clear', f'DELETE {every}', 'All gone', 204, numa1, query='force=true')


def cnapi_door():
    """The address that serves the dialects of CNAPI without a token."""
    every, one, ticket = '/servers/{server}/tickets', '/tickets/{ticket}', {'ticket': DOOR_TICKET}

    def step(name, operation, title, status, fill, **more):
        return Step(name, operation, title, status, fill, version=None, token=None,
                    headers={'Host': DOOR}, **more)

    yield step('door-take', f'POST {every}', 'A ticket', 202, {'server': NUMA1}, body={
        'scope': 'vm', 'id': VM1, 'expires_at': '2099-01-01T00:00:00.000Z'})
    yield step('door-wait', f'GET {one}/wait', 'Its turn has come', 204, ticket)
    yield step('door-release', f'PUT {one}/release', 'Done', 204, ticket, body={})
    yield step('door-list', 'GET /servers/{server}/waitlist', 'Nobody works or waits any more', 200,
               {'server': NUMA1})
    yield step('door-other', 'GET /resource_providers', 'Nothing else is there', 404, {},
               code='ResourceNotFound')


def refused():
    """What may happen to any request, shown on the page of errors."""
    listing, create = 'GET /resource_providers', 'POST /resource_providers'
    yield Step('refused-400', listing, 'A version that is no version', 400, version='1.x')
    yield Step('refused-401', listing, 'No token', 401, token=None)
    yield Step('refused-403', listing, 'Not allowed by policy', 403, token='ann',
               code='placement.undefined_code')
    yield Step('refused-404', 'GET /resource_provider', 'No such path', 404)
    yield Step('refused-405', 'PUT /resource_providers', 'No such method', 405,
               code='placement.undefined_code', body={})
    yield Step('refused-406', listing, 'An unknown version', 406, version='1.99')
    yield Step('refused-415', create, 'Not JSON', 415, headers={'Content-Type': 'text/plain'},
               body={'name': 'x'}, code='placement.undefined_code')


CHAPTERS = [documents, providers, classes, inventories, traits, traits_of_providers, aggregates,
            candidates, allocations, usages, in_use, reshaper, tickets,
            cnapi, cnapi_door, refused]


def steps():
    """All steps, in the order in which they must be sent."""
    return [step for chapter in CHAPTERS for step in chapter()]
