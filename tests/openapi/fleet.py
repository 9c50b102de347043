"""A fleet for the fuzzer to play with; it is mended whenever it is touched."""

import uuid
from uuid import uuid4

import api

NAMESPACE = uuid.UUID('7f1f4b66-6f5c-4d0c-9f0e-2b8f6c1f0a00')


def numbered(kind, count):
    return [str(uuid.uuid5(NAMESPACE, f'{kind}{number}')) for number in range(count)]


PROVIDERS = numbered('provider', 4)
CONSUMERS = numbered('consumer', 4)
AGGREGATES = numbered('aggregate', 2)
# These stand for tickets and groups that are taken when they are asked for.
TICKETS = numbered('ticket', 2)
GROUPS = numbered('group', 2)
OWN_CLASSES = ['CUSTOM_GPU', 'CUSTOM_SLICE', 'CUSTOM_UNUSED']
CLASSES = ['VCPU', 'MEMORY_MB', 'CUSTOM_GPU']
TRAITS = ['CUSTOM_FAST', 'CUSTOM_QUIET', 'HW_CPU_X86_AVX2']

RESOURCES = ['VCPU:1', 'VCPU:1,MEMORY_MB:8', 'MEMORY_MB:64', 'CUSTOM_GPU:1']
# Good values for a parameter whose name begins with the key.
QUERY = {
    'resources': RESOURCES,
    'required': ['HW_CPU_X86_AVX2', '!CUSTOM_QUIET', 'in:CUSTOM_FAST,HW_CPU_X86_AVX2'],
    'root_required': ['HW_CPU_X86_AVX2', '!CUSTOM_QUIET'],
    'member_of': [AGGREGATES[0], f'in:{",".join(AGGREGATES)}', f'!{AGGREGATES[1]}'],
    'in_tree': PROVIDERS,
    'uuid': PROVIDERS,
    'name': ['host0', 'in:CUSTOM_FAST', 'startswith:HW_'],
    'associated': ['true', 'false'],
    'microversion': ['1.0', '1.10', 'latest'],
    'status': ['live', 'all', 'active'],
    'wait': ['true', 'false'],
    'timeout': ['0', '1'],
    'generation': ['1'],
}


class Fleet:
    def __init__(self, url, version):
        self.api = api.Api(url)
        self.version = version

    def restore(self, uuid):
        """Make a provider that is missing; the last one is below the first."""
        if self.api.send('GET', f'/resource_providers/{uuid}').status_code == 200:
            return
        number = PROVIDERS.index(uuid)
        body = {'uuid': uuid, 'name': f'host{number}'}
        # Another provider may have the name by now.
        if self.api.send('POST', '/resource_providers', body).status_code == 409:
            body['name'] = str(uuid)
            self.api('POST', '/resource_providers', body)
        self.equip(uuid)

    def equip(self, uuid):
        path = f'/resource_providers/{uuid}'
        inventories = {'VCPU': {'total': 64, 'allocation_ratio': 4.0},
                       'MEMORY_MB': {'total': 4096, 'reserved': 96}}
        self.api('PUT', f'{path}/inventories', {
            'resource_provider_generation': self.generation(uuid), 'inventories': inventories})
        for kind, values in (('aggregates', AGGREGATES[:1]), ('traits', ['HW_CPU_X86_AVX2'])):
            self.api('PUT', f'{path}/{kind}', {
                'resource_provider_generation': self.generation(uuid), kind: values})

    def generation(self, uuid):
        return self.api('GET', f'/resource_providers/{uuid}')['generation']

    def ticket(self, uuid):
        """Take a ticket that is active and does not keep its provider for long."""
        return self.api('POST', f'/resource_providers/{uuid}/waitlist', self.queue())['uuid']

    def group(self):
        """The same for two of them."""
        uuids = PROVIDERS[:2]
        for uuid in uuids:
            self.restore(uuid)
        tickets = [{'resource_provider_uuid': uuid, 'scope': 'vm', 'id': str(uuid4())}
                   for uuid in uuids]
        return self.api('POST', '/waitlist', {'tickets': tickets, 'lease_seconds': 1})['uuid']

    def queue(self):
        return {'scope': 'vm', 'id': str(uuid4()), 'lease_seconds': 1}

    def known(self, body, uuid, of_consumers):
        """The same body with names that mean something and generations that are right.

        `of_consumers`: the keys at the top are uuids of consumers, not of providers.
        """
        def rename(members, names):
            return dict(zip(names, members.values()))

        def mend(value, field, uuid):
            if field == 'resource_provider_generation' and uuid:
                return self.generation(uuid)
            if field == 'resource_provider_uuid':
                self.restore(PROVIDERS[0])
                return PROVIDERS[0]
            if field == 'resource_class':
                return CLASSES[-1]
            if field == 'traits':
                return TRAITS[:len(value)]
            if field == 'resource_provider':
                return {'uuid': PROVIDERS[0]}
            if not isinstance(value, dict):
                return value
            if field == 'resources' or field == 'inventories' and uuid:
                value = rename(value, CLASSES)
            elif field in ('inventories', 'allocations'):
                value = rename(value, CONSUMERS if field == 'allocations' and 'inventories' in body
                               else PROVIDERS)
                for name in value:
                    self.restore(name) if name in PROVIDERS else None
            inside = [(key, member, key if key in PROVIDERS else uuid)
                      for key, member in value.items()]
            return {key: mend(member, key, uuid) for key, member, uuid in inside}

        if of_consumers:
            body = rename(body, CONSUMERS)
        return mend(body, None, uuid)

    def make(self):
        for name in OWN_CLASSES:
            self.api('PUT', f'/resource_classes/{name}')
        for name in TRAITS[:2]:
            self.api('PUT', f'/traits/{name}')
        for uuid in PROVIDERS:
            self.restore(uuid)
        for consumer, provider in zip(CONSUMERS[:2], PROVIDERS):
            self.api('PUT', f'/allocations/{consumer}', {
                'allocations': {provider: {'resources': {'VCPU': 1, 'MEMORY_MB': 8}}},
                'project_id': 'p', 'user_id': 'u', 'consumer_type': 'INSTANCE',
                'consumer_generation': None})
