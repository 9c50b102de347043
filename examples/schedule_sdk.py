#!/usr/bin/env python
"""Find a place for a workload and claim it, by openstacksdk.

    schedule_sdk.py CONSUMER_UUID RESOURCES     such as VCPU:2,MEMORY_MB:512

The cloud is the one that clouds.yaml or the OS_ variables name. For allotment on its own:

    OS_AUTH_TYPE=admin_token OS_TOKEN=admin OS_ENDPOINT=http://127.0.0.1:8778
"""

import json
import random
import sys
import time

import openstack
from openstack import exceptions

VERSION = '1.39'
TRIES = 30


class NoPlace(Exception):
    """The workload fits nowhere, or others took each place first."""


def schedule(placement, consumer, resources):
    """Returns what the consumer holds in the end."""
    for attempt in range(TRIES):
        held = placement.get_allocation(consumer)
        if held.allocations:
            return held.allocations
        candidates = list(placement.allocation_candidates(resources=resources, limit=50))
        if not candidates:
            raise NoPlace(f'{resources} fits nowhere')
        random.shuffle(candidates)
        for candidate in candidates:
            # By hand, since the answer to a refused claim is what decides.
            answer = placement.put(f'/allocations/{consumer}', microversion=VERSION, json={
                'allocations': candidate.allocations, 'project_id': 'lab', 'user_id': 'ann',
                'consumer_type': 'INSTANCE', 'consumer_generation': None})
            if answer.ok:
                return candidate.allocations
            if answer.status_code >= 500:
                break
            if answer.status_code != 409:
                exceptions.raise_from_response(answer)
            if answer.json()['errors'][0]['code'] == 'placement.concurrent_update':
                break
        time.sleep(random.uniform(0, min(1, 0.01 * 2 ** attempt)))
    raise NoPlace(f'no luck with {resources}')


def main(consumer, resources):
    with openstack.connect() as cloud:
        try:
            print(json.dumps(schedule(cloud.placement, consumer, resources)))
        except NoPlace as error:
            sys.exit(str(error))


if __name__ == '__main__':
    main(*sys.argv[1:])
