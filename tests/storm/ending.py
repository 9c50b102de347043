"""The end of a storm: the rows in the database through each node, and the pictures through each replica."""

import time

from api import Api

PATIENCE = 120


def collect(place, world, complaints):
    """Waits until all tickets have ended, takes a turn in each queue, and reads everything."""
    complaints = [*complaints, *panics(place)]
    if not has_ended(place):
        complaints.append('tickets do not end although their leases are over')
    complaints += take_turns(place, world)
    return {'stores': [store(number, node) for number, node in enumerate(place.database.nodes)],
            'pictures': [picture(replica, world) for replica in place.replicas], 'complaints': complaints}


def panics(place):
    return [f'{replica.workdir.name}: {line}' for replica in place.replicas
            for line in replica.log().splitlines() if 'panicked' in line]


def has_ended(place):
    deadline = time.monotonic() + PATIENCE
    while place.database.query("SELECT count(*) FROM waitlist_tickets WHERE status IN ('queued', 'active')")[0][0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def take_turns(place, world):
    """Each queue works, through each replica."""
    found = []
    for queue in world['queues']:
        provider, thing = queue.split('/')
        path = f'/resource_providers/{provider}/waitlist'
        for replica in place.replicas:
            client = Api(replica.url)
            made = client('POST', path, {'scope': 'storm', 'id': thing, 'lease_seconds': 60})
            ticket = client('GET', f'{path}/{made["uuid"]}?wait=true&timeout=50')
            if ticket['status'] != 'active':
                found.append(f'{queue} is stuck: {ticket}')
                break
            client('DELETE', f'{path}/{made["uuid"]}')
    return found


def store(number, node):
    providers = node.query('SELECT p.uuid, p.generation, o.uuid FROM resource_providers p '
                           'LEFT JOIN resource_providers o ON o.id = p.parent_provider_id')
    consumers = sorted(node.query('SELECT uuid, generation FROM consumers'))
    tickets = node.query('SELECT t.uuid, q.owner, q.resource_id, t.position, t.status, t.fence '
                         'FROM waitlist_tickets t JOIN waitlist_queues q ON q.id = t.queue_id')
    return {
        'name': f'node {number + 1}', 'consumers': dict(consumers), 'consumer_rows': consumers,
        'allocations': sorted(node.query(
            'SELECT a.consumer_id, p.uuid, a.used FROM allocations a '
            'LEFT JOIN resource_providers p ON p.id = a.resource_provider_id')),
        'providers': {uuid: generation for uuid, generation, _ in providers},
        'parents': {uuid: parent for uuid, _, parent in providers},
        'tickets': {uuid: {'queue': f'{owner}/{thing}', 'position': position, 'status': status, 'fence': fence}
                    for uuid, owner, thing, position, status, fence in tickets}}


def picture(replica, world):
    """The usages that searches show, and all providers in the list."""
    client = Api(replica.url)
    listed = client('GET', '/resource_providers')['resource_providers']
    used = {}
    for group, providers in world['groups'].items():
        summaries = client('GET', f'/allocation_candidates?resources=VCPU:1&required={group}')['provider_summaries']
        for provider in providers:
            # A host that is not offered has to be full.
            used[provider] = summaries[provider]['resources']['VCPU']['used'] if provider in summaries \
                else world['capacity'][provider]
    return {'name': replica.workdir.name, 'used': used,
            'providers': {each['uuid']: each['generation'] for each in listed},
            'parents': {each['uuid']: each['parent_provider_uuid'] for each in listed}}


