#!/usr/bin/env python
"""Move what a consumer holds from one host to another, by openstacksdk.

    migrate_sdk.py CONSUMER_UUID FROM_PROVIDER_UUID TO_PROVIDER_UUID

The cloud is the one that clouds.yaml or the OS_ variables name. For allotment on its own:

    OS_AUTH_TYPE=admin_token OS_TOKEN=admin OS_ENDPOINT=http://127.0.0.1:8778
"""

import os
import random
import sys
import time

import openstack
from openstack import exceptions

VERSION = '1.39'
# How long the copying takes, for which nothing stands here but time.
COPY_SECONDS = int(os.environ.get('COPY_SECONDS', '0'))
LEASE_SECONDS = int(os.environ.get('LEASE_SECONDS', '30'))
TRIES = 30


class LostTurn(Exception):
    """A ticket has ended: somebody else may be at work, so nothing more may be done."""


class NoRoom(Exception):
    """It does not fit there."""


def code(answer):
    return answer.json()['errors'][0]['code'] if answer.status_code == 409 else None


class Turn:
    """Tickets on several hosts: `with` waits until all are active, and releases them in the end."""

    def __init__(self, placement, scope, thing, providers):
        self.placement = placement
        self.wanted = {'action': 'migrate', 'lease_seconds': LEASE_SECONDS, 'tickets': [
            {'resource_provider_uuid': provider, 'scope': scope, 'id': thing} for provider in providers]}

    def __enter__(self):
        answer = self.placement.post('/waitlist', json=self.wanted, microversion=VERSION)
        exceptions.raise_from_response(answer)
        self.group = answer.json()
        try:
            while self.group['status'] == 'queued':
                answer = self.placement.get(
                    self.path(), params={'wait': 'true', 'timeout': 30}, microversion=VERSION)
                exceptions.raise_from_response(answer)
                self.group = answer.json()
            if self.group['status'] != 'active':
                raise LostTurn('a ticket ended while it waited')
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(self, *_):
        self.release()

    def path(self):
        return f'/waitlist/{self.group["uuid"]}'

    def fence(self):
        """The header that lets a write happen only in this turn."""
        return {'X-Waitlist-Ticket': ','.join(ticket['uuid'] for ticket in self.group['tickets'])}

    def renew(self):
        answer = self.placement.put(self.path(), microversion=VERSION, json={
            'generation': self.group['generation'], 'lease_seconds': LEASE_SECONDS})
        if answer.status_code == 409:
            raise LostTurn(answer.json()['errors'][0]['detail'])
        exceptions.raise_from_response(answer)
        self.group = answer.json()

    def release(self):
        exceptions.raise_from_response(self.placement.delete(self.path(), microversion=VERSION))


def change(placement, turn, consumer, decide):
    """Replace what a consumer holds by what `decide` makes of it, in this turn."""
    for attempt in range(TRIES):
        answer = placement.get(f'/allocations/{consumer}', microversion=VERSION)
        exceptions.raise_from_response(answer)
        held = answer.json()
        wanted = decide({provider: {'resources': part['resources']}
                         for provider, part in held['allocations'].items()})
        if wanted is None:
            return
        answer = placement.put(f'/allocations/{consumer}', headers=turn.fence(), microversion=VERSION,
                               json={**held, 'allocations': wanted})
        if answer.ok:
            return
        if code(answer) == 'placement.waitlist.not_active':
            raise LostTurn(answer.json()['errors'][0]['detail'])
        if code(answer) == 'placement.undefined_code':
            raise NoRoom(answer.json()['errors'][0]['detail'])
        if code(answer) != 'placement.concurrent_update':
            exceptions.raise_from_response(answer)
        time.sleep(random.uniform(0, min(1, 0.005 * 2 ** attempt)))
    raise LostTurn('others wrote for this consumer again and again')


def migrate(placement, consumer, source, destination):
    def hold_both(held):
        if source not in held or destination in held:
            return None
        return {**held, destination: held[source]}

    def let_go(held):
        if source not in held:
            return None
        return {provider: part for provider, part in held.items() if provider != source}

    with Turn(placement, 'vm', consumer, [source, destination]) as turn:
        change(placement, turn, consumer, hold_both)
        end = time.monotonic() + COPY_SECONDS
        while time.monotonic() < end:
            time.sleep(min(LEASE_SECONDS / 3, max(0, end - time.monotonic())))
            if time.monotonic() < end:
                turn.renew()
        change(placement, turn, consumer, let_go)


def main(consumer, source, destination):
    with openstack.connect() as cloud:
        try:
            migrate(cloud.placement, consumer, source, destination)
        except (LostTurn, NoRoom) as error:
            sys.exit(f'{type(error).__name__}: {error}')
        print('moved')


if __name__ == '__main__':
    main(*sys.argv[1:])
