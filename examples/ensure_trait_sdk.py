#!/usr/bin/env python
"""Make sure that a resource provider has a trait, by openstacksdk.

    ensure_trait_sdk.py PROVIDER_UUID TRAIT

The cloud is the one that clouds.yaml or the OS_ variables name. For allotment on its own:

    OS_AUTH_TYPE=admin_token OS_TOKEN=admin OS_ENDPOINT=http://127.0.0.1:8778
"""

import random
import sys
import time

import openstack
from openstack import exceptions

# openstacksdk's own objects for traits speak 1.6, in which errors have no code yet.
VERSION = '1.39'
TRIES = 30


class GaveUp(Exception):
    """Others were faster every time."""


def is_concurrent_update(answer):
    return (answer.status_code == 409
            and answer.json()['errors'][0]['code'] == 'placement.concurrent_update')


def ensure_trait(placement, provider, trait):
    """Returns whether the trait had to be added."""
    placement.create_trait(trait)
    traits = f'/resource_providers/{provider}/traits'
    for attempt in range(TRIES):
        answer = placement.get(traits, microversion=VERSION)
        exceptions.raise_from_response(answer)
        seen = answer.json()
        if trait in seen['traits']:
            return False
        answer = placement.put(traits, microversion=VERSION, json={
            'resource_provider_generation': seen['resource_provider_generation'],
            'traits': seen['traits'] + [trait]})
        if not is_concurrent_update(answer):
            exceptions.raise_from_response(answer)
            return True
        time.sleep(random.uniform(0, min(1, 0.005 * 2 ** attempt)))
    raise GaveUp(f'{trait} on {provider}')


def main(provider, trait):
    with openstack.connect() as cloud:
        print('added' if ensure_trait(cloud.placement, provider, trait) else 'was there')


if __name__ == '__main__':
    main(*sys.argv[1:])
