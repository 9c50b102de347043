#!/usr/bin/env python
"""Find a place for a workload and claim it, while others claim too.

    schedule.py CONSUMER_UUID RESOURCES         such as VCPU:2,MEMORY_MB:512

May be run again with the same consumer, whatever became of the first run: a consumer
that holds something already has its place.
"""

import json
import os
import random
import sys
import time

import requests

URL = os.environ.get('PLACEMENT_URL', 'http://127.0.0.1:8778')
TRIES = 30


class NoPlace(Exception):
    """The workload fits nowhere, or others took each place first."""


def schedule(session, consumer, resources):
    """Returns what the consumer holds in the end."""
    claim = f'{URL}/allocations/{consumer}'
    for attempt in range(TRIES):
        # Somebody may have written for this consumer: we ourselves, in a try whose answer was lost.
        held = session.get(claim)
        held.raise_for_status()
        if held.json()['allocations']:
            return held.json()['allocations']
        found = session.get(f'{URL}/allocation_candidates', params={'resources': resources, 'limit': 50})
        found.raise_for_status()
        candidates = found.json()['allocation_requests']
        if not candidates:
            raise NoPlace(f'{resources} fits nowhere')
        # All who ask now see the same list: let them not all start at its top.
        random.shuffle(candidates)
        for candidate in candidates:
            answer = session.put(claim, json={
                **candidate, 'project_id': 'lab', 'user_id': 'ann', 'consumer_type': 'INSTANCE',
                'consumer_generation': None})
            if answer.ok:
                return candidate['allocations']
            if answer.status_code >= 500:
                # It may have been done all the same: look.
                break
            if answer.status_code != 409:
                answer.raise_for_status()
            if answer.json()['errors'][0]['code'] == 'placement.concurrent_update':
                break
            # Full by now: the next one.
        time.sleep(random.uniform(0, min(1, 0.01 * 2 ** attempt)))
    raise NoPlace(f'no luck with {resources}')


def main(consumer, resources):
    with requests.Session() as session:
        session.headers.update({'X-Auth-Token': os.environ.get('PLACEMENT_TOKEN', 'admin'),
                                'OpenStack-API-Version': 'placement 1.39'})
        try:
            print(json.dumps(schedule(session, consumer, resources)))
        except NoPlace as error:
            sys.exit(str(error))


if __name__ == '__main__':
    main(*sys.argv[1:])
