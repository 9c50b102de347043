#!/usr/bin/env python
"""Make sure that a resource provider has a trait, while others change its traits too.

    ensure_trait.py PROVIDER_UUID TRAIT
"""

import os
import random
import sys
import time

import requests

URL = os.environ.get('PLACEMENT_URL', 'http://127.0.0.1:8778')
TRIES = 30


class GaveUp(Exception):
    """Others were faster every time."""


def is_concurrent_update(answer):
    return (answer.status_code == 409
            and answer.json()['errors'][0]['code'] == 'placement.concurrent_update')


def ensure_trait(session, provider, trait):
    """Returns whether the trait had to be added."""
    traits = f'{URL}/resource_providers/{provider}/traits'
    session.put(f'{URL}/traits/{trait}').raise_for_status()
    for attempt in range(TRIES):
        answer = session.get(traits)
        answer.raise_for_status()
        seen = answer.json()
        if trait in seen['traits']:
            return False
        # What was seen goes along with the decision that rests on it.
        answer = session.put(traits, json={
            'resource_provider_generation': seen['resource_provider_generation'],
            'traits': seen['traits'] + [trait]})
        if answer.ok:
            return True
        if not is_concurrent_update(answer):
            answer.raise_for_status()
        time.sleep(random.uniform(0, min(1, 0.005 * 2 ** attempt)))
    raise GaveUp(f'{trait} on {provider}')


def main(provider, trait):
    with requests.Session() as session:
        session.headers.update({'X-Auth-Token': os.environ.get('PLACEMENT_TOKEN', 'admin'),
                                'OpenStack-API-Version': 'placement 1.39'})
        print('added' if ensure_trait(session, provider, trait) else 'was there')


if __name__ == '__main__':
    main(*sys.argv[1:])
