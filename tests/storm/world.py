"""The hosts and queues of a storm, made before the storm begins."""

import uuid

from api import Api

GROUPS = 8
SHARED_CAPACITY, OWN_CAPACITY = 12, 1000
QUEUES_OF_A_HOST = 2


def make(url, clients, rng, groups=GROUPS):
    """Makes groups of hosts: some that all clients share, and two for each client."""
    client = Api(url)
    world = {'capacity': {}, 'groups': {}, 'pairs': [None] * clients, 'shared': [], 'queues': [], 'generations': {},
             'others': []}
    for group in range(groups):
        trait = f'CUSTOM_STORM_{group}'
        client('PUT', f'/traits/{trait}')
        world['groups'][trait] = []

        def host(capacity):
            provider = make_host(client, rng, trait, capacity)
            world['groups'][trait].append(provider)
            world['capacity'][provider] = capacity
            world['generations'][provider] = client('GET', f'/resource_providers/{provider}')['generation']
            return provider

        world['shared'] += [host(SHARED_CAPACITY) for _ in range(2)]
        for number in range(group, clients, groups):
            world['pairs'][number] = [host(OWN_CAPACITY), host(OWN_CAPACITY)]
    world['queues'] = [f'{provider}/{number}' for provider in world['shared'][:4] for number in range(QUEUES_OF_A_HOST)]
    return world


def make_host(client, rng, trait, capacity):
    provider = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    client('POST', '/resource_providers', {'name': f'host-{provider}', 'uuid': provider})
    client('PUT', f'/resource_providers/{provider}/inventories', {
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': capacity}}})
    client('PUT', f'/resource_providers/{provider}/traits', {'resource_provider_generation': 1, 'traits': [trait]})
    return provider
