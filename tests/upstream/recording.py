"""The answers of a server to every GET, in a form that can be compared."""

import email.utils
import json
import re
import time

import fleet

# Every version is asked for one thing of each kind, the ones around changes to
# how things are looked for for each query, and a few for all the rest.
EVERY = [f'1.{minor}' for minor in range(40)]
CHANGES = ['1.0', '1.4', '1.6', '1.14', '1.18', '1.22', '1.24', '1.38', '1.39']
USAGES = ['1.8', '1.9', '1.37', '1.38', '1.39']
SPREAD = ['1.0', '1.14', '1.28', '1.39']
ENDS = ['1.0', '1.39']

ABSENT = '00000000-1111-2222-3333-444444444444'
NO_OWNER = '00000000-0000-0000-0000-000000000000'

PROVIDER_PARTS = ['', '/inventories', '/usages', '/aggregates', '/traits',
                  '/allocations']


def record(api):
    """Ask for everything; answers by (path, version)."""
    # An answer may be dated by what it shows or by now. With this second over,
    # these can be told apart.
    time.sleep(1.1)
    begin = int(time.time())
    answers = {}
    providers = api('GET', '/resource_providers')['resource_providers']
    for path, versions in requests(providers):
        for version in versions:
            response = api.send('GET', path, version=version)
            answers[path, version] = normalised(response, begin)
    return answers


def requests(providers):
    """Each path to ask for, with the versions to ask it at."""
    for path in samples():
        yield path, EVERY
    for path in [*singles(), *provider_filters()]:
        yield path, CHANGES
    for path in usage_queries():
        yield path, USAGES
    for uuid in sorted(provider['uuid'] for provider in providers):
        for part in PROVIDER_PARTS:
            yield f'/resource_providers/{uuid}{part}', SPREAD
        for name in ('VCPU', 'DISK_GB', 'CUSTOM_SLOT', 'CUSTOM_LATER'):
            yield f'/resource_providers/{uuid}/inventories/{name}', ENDS
        yield f'/resource_providers?in_tree={uuid}', ENDS
        yield f'/resource_providers?uuid={uuid}', ENDS
    for name in [*fleet.CONSUMERS, 'late', 'late_old', 'late_owner',
                 'instance_moved', 'last']:
        yield fleet.consumer_path(name), SPREAD


def samples():
    yield from ('/', '/resource_classes', '/traits?name=startswith:CUSTOM_',
                '/resource_providers', '/usages?project_id=red',
                '/traits/CUSTOM_FAST', '/resource_classes/VCPU')
    for part in [*PROVIDER_PARTS, '/inventories/VCPU']:
        yield fleet.provider_path('cn1_numa0', part)
    yield fleet.consumer_path('instance')
    yield fleet.consumer_path('oldest')


def singles():
    yield '/traits'
    for name in ('VCPU', 'CUSTOM_SLOT', 'CUSTOM_LATER', 'CUSTOM_NONE', 'vcpu'):
        yield f'/resource_classes/{name}'
    yield '/traits?name=in:CUSTOM_FAST,HW_NUMA_ROOT,CUSTOM_NONE'
    yield '/traits?associated=true'
    yield '/traits?associated=false&name=startswith:CUSTOM_'
    yield '/traits?associated=perhaps'
    for name in ('CUSTOM_FAST', 'HW_NUMA_ROOT', 'CUSTOM_LATER', 'CUSTOM_NONE'):
        yield f'/traits/{name}'
    yield f'/allocations/{ABSENT}'
    for part in PROVIDER_PARTS:
        yield f'/resource_providers/{ABSENT}{part}'


def provider_filters():
    disk, ip, rack1 = map(fleet.name_to_uuid, ('disk', 'ip', 'rack1'))
    tree = fleet.name_to_uuid('cn1_numa0_pf0')
    for query in [
            '', '?name=cn1', '?name=', '?name=%E2%98%83',
            '?name=rack%20%C3%BC%2F%E2%98%83%20%227%22%20%3Cb%3E',
            f'?uuid={ABSENT}', '?uuid=x', '?colour=red',
            f'?member_of={disk}', f'?member_of=in:{rack1},{ip}',
            f'?member_of=!{disk}', f'?member_of=!in:{rack1},{ip}',
            f'?member_of={disk}&member_of={ip}', f'?member_of={ABSENT}',
            f'?in_tree={tree}', f'?in_tree={ABSENT}',
            f'?in_tree={tree}&required=HW_NUMA_ROOT',
            '?required=HW_NUMA_ROOT', '?required=HW_NUMA_ROOT,CUSTOM_FAST',
            '?required=HW_NUMA_ROOT,!CUSTOM_FAST', '?required=!CUSTOM_FAST',
            '?required=in:CUSTOM_FAST,STORAGE_DISK_SSD',
            '?required=in:CUSTOM_FAST,STORAGE_DISK_SSD&required=!HW_NUMA_ROOT',
            '?required=CUSTOM_NONE',
            '?resources=VCPU:4', '?resources=VCPU:4,MEMORY_MB:640',
            '?resources=DISK_GB:2', '?resources=DISK_GB:3',
            '?resources=CUSTOM_SLOT:1', '?resources=SRIOV_NET_VF:1',
            '?resources=VCPU:375', '?resources=CUSTOM_NONE:1',
            '?resources=VCPU:0',
            f'?resources=DISK_GB:20&member_of={disk}&required=STORAGE_DISK_SSD',
    ]:
        yield f'/resource_providers{query}'


def usage_queries():
    yield '/usages'
    for project in ('red', 'blue', 'green', 'violet', 'grey', NO_OWNER):
        yield f'/usages?project_id={project}'
    for query in ('user_id=alice', 'user_id=bob', 'user_id=nobody',
                  'consumer_type=INSTANCE', 'consumer_type=LATECOMER',
                  'consumer_type=all', 'consumer_type=unknown',
                  'consumer_type=NONE', 'user_id=alice&consumer_type=INSTANCE'):
        yield f'/usages?project_id=red&{query}'


def normalised(response, begin):
    """The parts of an answer that must be equal, free of what may differ."""
    answer = {'status': response.status_code}
    content_type = response.headers.get('content-type')
    answer['type'] = content_type
    answer['cache'] = response.headers.get('cache-control')
    modified = response.headers.get('last-modified')
    if modified:
        then = email.utils.parsedate_to_datetime(modified).timestamp()
        modified = 'now' if then >= begin else modified
    answer['modified'] = modified
    if response.content and content_type == 'application/json':
        answer['body'] = sorted_lists(response.json())
        for error in answer['body'].get('errors', []):
            error.pop('request_id', None)
            # The text of a schema, which may be written otherwise.
            error['detail'] = re.sub(r"(Failed validating '\w+').*", r'\1',
                                     error['detail'], flags=re.DOTALL)
    else:
        answer['body'] = response.text
    return answer


def sorted_lists(value):
    """No list in these answers has an order that means anything."""
    if isinstance(value, dict):
        return {key: sorted_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(item) for item in value),
                      key=lambda item: json.dumps(item, sort_keys=True))
    return value


def differences(theirs, ours, ours_may_fail=False):
    """The differences as text; a request that fails on upstream must not fail here."""
    found = []
    for request in sorted(theirs.keys() | ours.keys()):
        upstream, allotment = theirs.get(request), ours.get(request)
        if upstream and allotment and upstream['status'] >= 500:
            same = ours_may_fail or allotment['status'] < 500
        else:
            same = upstream == allotment
        if not same:
            found.append(f'GET {request[0]} at {request[1]}\n'
                         f'  upstream:  {str(upstream)[:1000]}\n'
                         f'  allotment: {str(allotment)[:1000]}')
    return found
