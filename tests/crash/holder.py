"""A holder of a ticket, as a process of its own.

Takes a ticket, says its uuid, and renews the lease until a line comes on its
input; then writes an allocation under the ticket and says what was answered.
"""

import json
import select
import sys

import api


def main(url, provider, consumer, lease):
    client = api.Api(url)
    queue = f'/resource_providers/{provider}/waitlist'
    ticket = client('POST', queue, {
        'scope': 'host', 'id': 'move', 'lease_seconds': int(lease)})
    print(ticket['uuid'], flush=True)
    while not select.select([sys.stdin], [], [], int(lease) / 4)[0]:
        ticket = client('PUT', f'{queue}/{ticket["uuid"]}', {
            'generation': ticket['generation']})
    client.client.headers['x-waitlist-ticket'] = ticket['uuid']
    answer = client.send('PUT', f'/allocations/{consumer}', {
        'allocations': {provider: {'resources': {'VCPU': 7}}},
        'project_id': 'project', 'user_id': 'user',
        'consumer_generation': None, 'consumer_type': 'INSTANCE'})
    errors = answer.json()['errors'] if answer.content else []
    print(json.dumps([answer.status_code, [e['code'] for e in errors]]))


if __name__ == '__main__':
    main(*sys.argv[1:])
