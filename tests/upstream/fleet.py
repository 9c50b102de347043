"""The state that a takeover is tested with, written through the API.

fill() is sent to upstream and uses every way of writing that clients have
used over the years; change() is sent to the server that took over.
"""

import uuid

NAMESPACE = uuid.UUID('6f8f4c0e-4a1d-4f0c-9e0a-0a4f4b1d2c3e')


def name_to_uuid(name):
    return str(uuid.uuid5(NAMESPACE, name))


LONG_NAME = 'n' * 200
UNUSUAL_NAME = 'rack ü/☃ "7" <b>'

# Provider -> its parent, parents first.
PROVIDERS = {
    'cn1': None,
    'cn1_numa0': 'cn1',
    'cn1_numa1': 'cn1',
    'cn1_numa0_pf0': 'cn1_numa0',
    'cn1_numa0_pf1': 'cn1_numa0',
    'cn2': None,
    'cn2_numa0': 'cn2',
    'cn2_numa0_gpu': 'cn2_numa0',
    'shared_disk': None,
    'shared_ip': None,
    LONG_NAME: None,
    UNUSUAL_NAME: None,
}

AGGREGATES = {
    'cn1': ['rack1', 'disk'],
    'cn2': ['rack2', 'disk', 'ip'],
    'shared_disk': ['disk'],
    'shared_ip': ['ip'],
}

INVENTORIES = {
    'cn1': {'DISK_GB': dict(total=100, allocation_ratio=1.5, reserved=3,
                            min_unit=2, max_unit=50, step_size=2)},
    'cn1_numa0': {'VCPU': dict(total=24, allocation_ratio=16.1),
                  'MEMORY_MB': dict(total=131072, allocation_ratio=1.5,
                                    reserved=512, min_unit=64, step_size=64)},
    'cn1_numa1': {'VCPU': dict(total=24, allocation_ratio=16.1, reserved=1),
                  'MEMORY_MB': dict(total=131072)},
    'cn1_numa0_pf0': {'SRIOV_NET_VF': dict(total=8, max_unit=1)},
    'cn1_numa0_pf1': {'SRIOV_NET_VF': dict(total=8, reserved=8)},
    'cn2': {'VCPU': dict(total=8, allocation_ratio=0.3333),
            'MEMORY_MB': dict(total=2147483647, reserved=2147483646),
            'CUSTOM_SLOT': dict(total=1000, allocation_ratio=0.0001)},
    'cn2_numa0_gpu': {'VGPU': dict(total=4), 'CUSTOM_GPU_MEM': dict(
        total=48, allocation_ratio=3.3333333, step_size=4)},
    'shared_disk': {'DISK_GB': dict(total=100000, allocation_ratio=1.1)},
    'shared_ip': {'IPV4_ADDRESS': dict(total=254, max_unit=1)},
}

TRAITS = {
    'cn1': ['COMPUTE_VOLUME_EXTEND', 'CUSTOM_ROW_A'],
    'cn1_numa0': ['HW_NUMA_ROOT', 'HW_CPU_X86_AVX2', 'CUSTOM_FAST'],
    'cn1_numa1': ['HW_NUMA_ROOT', 'HW_CPU_X86_AVX2'],
    'cn1_numa0_pf0': ['HW_NIC_SRIOV', 'CUSTOM_PHYSNET_1'],
    'cn1_numa0_pf1': ['HW_NIC_SRIOV', 'CUSTOM_PHYSNET_2'],
    'cn2': ['COMPUTE_VOLUME_EXTEND', 'STORAGE_DISK_SSD'],
    'cn2_numa0_gpu': ['CUSTOM_FAST'],
    'shared_disk': ['MISC_SHARES_VIA_AGGREGATE', 'STORAGE_DISK_SSD'],
    'shared_ip': ['MISC_SHARES_VIA_AGGREGATE'],
}

CLASSES = ['CUSTOM_SLOT', 'CUSTOM_GPU_MEM', 'CUSTOM_UNUSED']
UNUSED_TRAIT = 'CUSTOM_UNUSED'
CONSUMERS = [
    'oldest', 'owned', 'mapped', 'guarded', 'mappings', 'instance',
    'migration', 'batch1', 'batch2', 'retyped', 'gone', 'rewritten']
OWNERS = [('red', 'alice'), ('red', 'bob'), ('blue', 'alice'),
          ('green', 'carol')]


def provider_path(name, suffix=''):
    return f'/resource_providers/{name_to_uuid(name)}{suffix}'


def consumer_path(name):
    return f'/allocations/{name_to_uuid(name)}'


def claim(resources, owner=None, **more):
    """A body of the dictionary form; resources by provider's name."""
    body = {'allocations': {name_to_uuid(provider): {'resources': amounts}
                            for provider, amounts in resources.items()}}
    if owner is not None:
        body['project_id'], body['user_id'] = OWNERS[owner]
    return {**body, **more}


def listed_claim(resources, owner=None):
    """A body of the list form, which is older than 1.12."""
    body = {'allocations': [
        {'resource_provider': {'uuid': name_to_uuid(provider)},
         'resources': amounts} for provider, amounts in resources.items()]}
    if owner is not None:
        body['project_id'], body['user_id'] = OWNERS[owner]
    return body


def generation(api, name):
    return api('GET', provider_path(name))['generation']


def create_provider(api, name, parent, version='1.39'):
    api('POST', '/resource_providers', {
        'name': name, 'uuid': name_to_uuid(name),
        'parent_provider_uuid': parent and name_to_uuid(parent)},
        version=version)


def set_inventories(api, name, inventories):
    api('PUT', provider_path(name, '/inventories'), {
        'resource_provider_generation': generation(api, name),
        'inventories': inventories})


def set_traits(api, name, traits):
    api('PUT', provider_path(name, '/traits'), {
        'resource_provider_generation': generation(api, name),
        'traits': traits})


def set_aggregates(api, name, aggregates):
    api('PUT', provider_path(name, '/aggregates'), {
        'resource_provider_generation': generation(api, name),
        'aggregates': [name_to_uuid(aggregate) for aggregate in aggregates]})


def fill(api):
    """Make the whole state, on an empty server."""
    for name in CLASSES:
        api('PUT', f'/resource_classes/{name}')
    custom = {trait for traits in TRAITS.values() for trait in traits
              if trait.startswith('CUSTOM_')}
    for name in sorted(custom | {UNUSED_TRAIT}):
        api('PUT', f'/traits/{name}')
    for name, parent in PROVIDERS.items():
        create_provider(api, name, parent)
    for name, aggregates in AGGREGATES.items():
        set_aggregates(api, name, aggregates)
    for name, inventories in INVENTORIES.items():
        set_inventories(api, name, inventories)
    for name, traits in TRAITS.items():
        set_traits(api, name, traits)
    api('PUT', provider_path('cn2_numa0', '/aggregates'),
        [name_to_uuid('rack2')], version='1.18')
    fill_allocations(api)


def fill_allocations(api):
    def put(name, body, version):
        api('PUT', consumer_path(name), body, version)

    put('oldest', listed_claim({'cn1_numa0': {'VCPU': 2}}), '1.0')
    put('owned', listed_claim(
        {'cn1_numa0': {'VCPU': 1, 'MEMORY_MB': 640}}, owner=0), '1.8')
    put('mapped', claim({'cn1_numa1': {'VCPU': 4, 'MEMORY_MB': 1024},
                         'shared_disk': {'DISK_GB': 20}}, owner=1), '1.12')
    put('guarded', claim({'cn1': {'DISK_GB': 10}}, owner=2,
                         consumer_generation=None), '1.28')
    put('mappings', claim(
        {'cn1_numa0_pf0': {'SRIOV_NET_VF': 1}}, owner=2,
        consumer_generation=None,
        mappings={'_port': [name_to_uuid('cn1_numa0_pf0')]}), '1.34')
    put('instance', claim({'cn1_numa0': {'VCPU': 8, 'MEMORY_MB': 4096},
                           'shared_ip': {'IPV4_ADDRESS': 1}}, owner=0,
                          consumer_generation=None,
                          consumer_type='INSTANCE'), '1.38')
    put('migration', claim({'cn2_numa0_gpu': {'VGPU': 1}}, owner=3,
                           consumer_generation=None,
                           consumer_type='MIGRATION'), '1.39')
    api('POST', '/allocations', {
        name_to_uuid('batch1'): claim(
            {'cn1_numa1': {'VCPU': 1}}, owner=0, consumer_generation=None,
            consumer_type='INSTANCE'),
        name_to_uuid('batch2'): claim(
            {'cn1_numa1': {'VCPU': 1}, 'shared_ip': {'IPV4_ADDRESS': 1}},
            owner=1, consumer_generation=None,
            consumer_type='INSTANCE')}, '1.38')
    put('retyped', claim({'cn2_numa0_gpu': {'CUSTOM_GPU_MEM': 4}}, owner=0,
                         consumer_generation=None), '1.30')
    put('retyped', claim({'cn2_numa0_gpu': {'CUSTOM_GPU_MEM': 8}}, owner=2,
                         consumer_generation=1, consumer_type='VOLUME'),
        '1.38')
    put('gone', claim({'cn2': {'VCPU': 1}}, owner=3), '1.12')
    api('DELETE', consumer_path('gone'))
    for amount in (2, 3, 5):
        put('rewritten', claim({'cn1_numa1': {'VCPU': amount}}, owner=1),
            '1.13')


def change(api):
    """The writes after a takeover: one write of each kind."""
    api('PUT', '/resource_classes/CUSTOM_LATER')
    api('PUT', '/traits/CUSTOM_LATER')
    create_provider(api, 'cn2_numa1', 'cn2')
    create_provider(api, 'cn3', None, version='1.14')
    create_provider(api, 'short_lived', 'cn3')
    set_inventories(api, 'cn2_numa1', {
        'VCPU': dict(total=16, allocation_ratio=16.1),
        'CUSTOM_LATER': dict(total=7, allocation_ratio=0.7)})
    set_aggregates(api, 'cn3', ['rack3', 'disk'])
    set_traits(api, 'cn2_numa1', ['HW_NUMA_ROOT', 'CUSTOM_LATER'])
    set_traits(api, 'cn1_numa1', ['CUSTOM_FAST', 'HW_CPU_X86_AVX512F'])
    api('DELETE', provider_path('cn1_numa0_pf1', '/traits'))
    api('DELETE', f'/traits/{UNUSED_TRAIT}')
    api('DELETE', '/resource_classes/CUSTOM_UNUSED')
    api('POST', provider_path('cn3', '/inventories'),
        {'resource_class': 'PCI_DEVICE', 'total': 3})
    api('PUT', provider_path('cn1_numa0', '/inventories/VCPU'), {
        'resource_provider_generation': generation(api, 'cn1_numa0'),
        'total': 32, 'allocation_ratio': 2.7})
    api('DELETE', provider_path('cn2', '/inventories/CUSTOM_SLOT'))
    api('DELETE', provider_path('cn1_numa0_pf1', '/inventories'))
    api('PUT', provider_path('cn3'), {
        'name': 'renamed ☃', 'parent_provider_uuid': name_to_uuid('cn2')},
        version='1.37')
    api('DELETE', provider_path('short_lived'))
    change_allocations(api)
    reshape(api)


def change_allocations(api):
    api('PUT', consumer_path('late'), claim(
        {'cn2_numa1': {'VCPU': 3, 'CUSTOM_LATER': 2}}, owner=0,
        consumer_generation=None, consumer_type='LATECOMER'))
    api('PUT', consumer_path('late_old'), listed_claim(
        {'cn2_numa1': {'VCPU': 1}}), '1.0')
    api('PUT', consumer_path('late_owner'), {
        **claim({'cn2_numa1': {'VCPU': 1}}, consumer_generation=None,
                consumer_type='INSTANCE'),
        'project_id': 'violet', 'user_id': 'dave'})
    held = api('GET', consumer_path('instance'))
    api('POST', '/allocations', {
        name_to_uuid('instance'): claim(
            {}, owner=0, consumer_type='INSTANCE',
            consumer_generation=held['consumer_generation']),
        name_to_uuid('instance_moved'): claim(
            {'cn2_numa1': {'VCPU': 8}, 'shared_ip': {'IPV4_ADDRESS': 1}},
            owner=0, consumer_generation=None, consumer_type='INSTANCE')})
    api('DELETE', consumer_path('mappings'))


def reshape(api):
    """Move an inventory and what is claimed of it to another provider."""
    old, new = 'cn1', 'cn1_numa0'
    moved = api('GET', provider_path(old, '/inventories'))
    kept = api('GET', provider_path(new, '/inventories'))
    guarded = api('GET', consumer_path('guarded'))
    disk = moved['inventories'].pop('DISK_GB')
    kept['inventories']['DISK_GB'] = disk
    api('POST', '/reshaper', {
        'inventories': {name_to_uuid(old): moved, name_to_uuid(new): kept},
        'allocations': {name_to_uuid('guarded'): {
            **claim({new: {'DISK_GB': 10}}),
            'project_id': guarded['project_id'],
            'user_id': guarded['user_id'],
            'consumer_generation': guarded['consumer_generation']}}},
        version='1.30')


def change_back(api):
    """A few writes for upstream, started again: it must still be able to."""
    create_provider(api, 'cn4', 'cn2_numa1')
    set_inventories(api, 'cn4', {'VCPU': dict(total=2)})
    api('PUT', '/resource_classes/CUSTOM_LAST')
    api('PUT', '/traits/CUSTOM_LAST')
    set_traits(api, 'cn4', ['CUSTOM_LAST'])
    api('PUT', consumer_path('last'), claim(
        {'cn4': {'VCPU': 1}, 'cn2_numa1': {'VCPU': 1}}, owner=3,
        consumer_generation=None, consumer_type='LAST'))
    late = api('GET', consumer_path('late'))
    api('PUT', consumer_path('late'), claim(
        {'cn2_numa1': {'VCPU': 4}}, owner=0, consumer_type='LATECOMER',
        consumer_generation=late['consumer_generation']))
    api('DELETE', consumer_path('late_old'))
