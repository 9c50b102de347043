"""Clients that search, claim, move and release claims, and take turns, over several replicas.

Each request becomes a record of the history. tests/README.md has the form of records.
"""

import asyncio
import random
import time
import uuid

import wire

VERSION = 'placement 1.39'
HEADERS = {'x-auth-token': 'admin', 'accept': 'application/json', 'openstack-api-version': VERSION}
# The seconds after which a client hangs up, mostly and now and then.
PATIENCE, LITTLE_PATIENCE = 10, 1.5
LEASES = (2, 3, 5)
MOST_CLAIMS = 6


class Client:
    """One client. It alone writes its claims, its children and its tickets."""

    def __init__(self, number, crowd):
        self.number, self.crowd, self.world = number, crowd, crowd.world
        self.rng = random.Random(f'{crowd.seed} {number}')
        self.wires = [wire.Wire(port) for port in crowd.ports]
        self.pair = self.world['pairs'][number % len(self.world['pairs'])]
        self.held = {}      # consumer -> generation and holds, as last seen
        self.unsure = []    # consumers of which a write was not answered
        self.children = []

    def new_uuid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    async def send(self, record, method, path, body=None, ticket=None, patience=None):
        """Sends a request and completes its record; returns the answer, or None."""
        if patience is None:
            patience = LITTLE_PATIENCE if self.rng.random() < 0.05 else PATIENCE
        replica = self.rng.randrange(len(self.wires))
        record.update(client=self.number, replica=replica, sent=True, status=None, code=None, retry_after=False)
        headers = {**HEADERS, 'x-waitlist-ticket': ticket} if ticket else HEADERS
        answer = None
        record['begin'] = time.monotonic()
        try:
            answer = await self.wires[replica].ask(method, path, body, headers, patience)
            record['status'] = answer.status
            record['retry_after'] = 'retry-after' in answer.headers
            if answer.status >= 400:
                record['text'] = error_text(answer.body)
                record['code'] = error_code(answer.body)
        except wire.Unsent:
            record['sent'] = False
        except wire.Unanswered:
            pass
        record['end'] = time.monotonic()
        return answer

    def keep(self, record):
        self.crowd.history.append(record)

    async def run(self):
        steps = {self.search_and_claim: 6, self.move: 3, self.swap: 3, self.release: 3, self.settle: 3,
                 self.make_child: 1, self.drop_child: 1, self.list_group: 2, self.list_tree: 1, self.look_at_claims: 1,
                 self.look_at_claim: 1, self.take_turn: 1}
        while not self.crowd.is_over:
            step, = self.rng.choices(list(steps), steps.values())
            await step()
            await asyncio.sleep(self.rng.uniform(0, self.crowd.pause))
        for each in self.wires:
            each.close()

    # Claims.

    async def search_and_claim(self):
        group = self.rng.choice(list(self.world['groups']))
        amount, limit = self.rng.randint(1, 3), self.rng.choice([None, None, 5])
        record = {'kind': 'search', 'group': group, 'amount': amount, 'limit': limit}
        path = f'/allocation_candidates?resources=VCPU:{amount}&required={group}'
        answer = await self.send(record, 'GET', path + (f'&limit={limit}' if limit else ''))
        if answer and answer.status == 200:
            show_search(record, answer.body, self.world)
        self.keep(record)
        # The hosts of other clients are theirs.
        mine = [provider for provider in record.get('offered', [])
                if provider in self.pair or provider in self.world['shared']]
        if mine and len(self.held) < MOST_CLAIMS:
            await self.put(self.new_uuid(), None, {self.rng.choice(mine): amount})

    async def put(self, consumer, generation, holds, ticket=None):
        record = {'kind': 'put', 'type': 'consumer', 'thing': consumer, 'generation': generation, 'holds': holds}
        if ticket:
            record['ticket'] = ticket
        await self.send(record, 'PUT', f'/allocations/{consumer}', {
            'allocations': {provider: {'resources': {'VCPU': amount}} for provider, amount in holds.items()},
            'project_id': f'project{self.number}', 'user_id': 'user', 'consumer_type': 'INSTANCE',
            'consumer_generation': generation}, ticket)
        self.keep(record)
        if record['status'] == 204:
            self.held[consumer] = ((generation or 0) + 1, holds)
        elif record['sent'] and (record['status'] != 409 or record['code'] == 'placement.concurrent_update'):
            self.held.pop(consumer, None)
            self.unsure.append(consumer)
        return record

    def some_claim(self):
        return self.rng.choice(sorted(self.held)) if self.held else None

    async def move(self):
        """A claim goes to other hosts, with another amount."""
        consumer = self.some_claim()
        if consumer:
            hosts = self.rng.sample(self.world['shared'] + self.pair, self.rng.randint(1, 2))
            await self.put(consumer, self.held[consumer][0], {host: self.rng.randint(1, 3) for host in hosts})

    async def swap(self):
        """A claim goes from one of the client's own two hosts to the other, in one transaction."""
        mine = [consumer for consumer, (_, holds) in sorted(self.held.items()) if set(holds) <= set(self.pair)]
        if mine:
            consumer = self.rng.choice(mine)
            generation, holds = self.held[consumer]
            total = sum(holds.values())
            first = self.rng.randint(0, total)
            swapped = {host: amount for host, amount in zip(self.pair, (first, total - first)) if amount}
            await self.put(consumer, generation, swapped)
        else:
            await self.put(self.new_uuid(), None, {self.rng.choice(self.pair): self.rng.randint(2, 4)})

    async def release(self):
        consumer = self.some_claim()
        if consumer:
            del self.held[consumer]
            await self.delete('consumer', consumer, f'/allocations/{consumer}')

    async def delete(self, type_, thing, path):
        record = {'kind': 'delete', 'type': type_, 'thing': thing}
        await self.send(record, 'DELETE', path)
        self.keep(record)
        if record['status'] not in (204, 404) and type_ == 'consumer':
            self.unsure.append(thing)
        return record

    async def settle(self):
        """Looks at a claim of which a write was not answered, and goes on with it or gives it up."""
        if not self.unsure:
            return
        consumer = self.unsure.pop(self.rng.randrange(len(self.unsure)))
        record = await self.read(consumer)
        if record['status'] != 200:
            self.unsure.append(consumer)
        elif record['seen'] and self.rng.random() < 0.5:
            self.held[consumer] = (record['seen']['generation'], record['seen']['holds'])
        elif record['seen']:
            await self.delete('consumer', consumer, f'/allocations/{consumer}')

    async def read(self, consumer):
        record = {'kind': 'read', 'thing': consumer, 'seen': None}
        answer = await self.send(record, 'GET', f'/allocations/{consumer}')
        if answer and answer.status == 200 and answer.body['allocations']:
            record['seen'] = {'generation': answer.body['consumer_generation'], 'holds': {
                provider: each['resources']['VCPU'] for provider, each in answer.body['allocations'].items()}}
            record['generations'] = {provider: each['generation']
                                     for provider, each in answer.body['allocations'].items()}
        self.keep(record)
        return record

    async def look_at_claim(self):
        consumer = self.some_claim()
        if consumer:
            await self.read(consumer)

    async def look_at_claims(self):
        provider = self.rng.choice(self.world['shared'] + self.pair)
        record = {'kind': 'claims', 'provider': provider}
        answer = await self.send(record, 'GET', f'/resource_providers/{provider}/allocations')
        if answer and answer.status == 200:
            record['claims'] = {consumer: each['resources']['VCPU']
                                for consumer, each in answer.body['allocations'].items()}
            record['generations'] = {provider: answer.body['resource_provider_generation']}
        self.keep(record)

    # Providers.

    async def make_child(self):
        if len(self.children) < 3:
            child, parent = self.new_uuid(), self.rng.choice(self.pair)
            record = {'kind': 'put', 'type': 'child', 'thing': child, 'generation': None, 'holds': {parent: 1}}
            await self.send(record, 'POST', '/resource_providers', {
                'name': f'child-{child}', 'uuid': child, 'parent_provider_uuid': parent})
            self.keep(record)
            if record['status'] == 200:
                self.children.append(child)

    async def drop_child(self):
        if self.children:
            child = self.children.pop(self.rng.randrange(len(self.children)))
            await self.delete('child', child, f'/resource_providers/{child}')

    async def list_group(self):
        group = self.rng.choice(list(self.world['groups']))
        record = {'kind': 'list', 'group': group}
        answer = await self.send(record, 'GET', f'/resource_providers?required={group}')
        if answer and answer.status == 200:
            record['generations'] = {each['uuid']: each['generation'] for each in answer.body['resource_providers']}
        self.keep(record)

    async def list_tree(self):
        tree = self.rng.choice(self.rng.choice(self.world['pairs']))
        record = {'kind': 'list', 'tree': tree}
        answer = await self.send(record, 'GET', f'/resource_providers?in_tree={tree}')
        if answer and answer.status == 200:
            listed = answer.body['resource_providers']
            record['generations'] = {each['uuid']: each['generation'] for each in listed}
            record['children'] = {tree: [each['uuid'] for each in listed if each['parent_provider_uuid'] == tree]}
        self.keep(record)

    # Turns.

    async def take_turn(self):
        queue = self.rng.choice(self.world['queues'])
        provider, thing = queue.split('/')
        record = {'kind': 'join', 'queue': queue, 'lease': self.rng.choice(LEASES), 'ticket': None}
        answer = await self.send(record, 'POST', f'/resource_providers/{provider}/waitlist', {
            'scope': 'storm', 'id': thing, 'lease_seconds': record['lease']})
        if answer and answer.status == 201:
            show_ticket(record, answer.body)
            record['ticket'], record['position'] = answer.body['uuid'], answer.body['position']
        self.keep(record)
        if record['ticket']:
            path = f'/resource_providers/{provider}/waitlist/{record["ticket"]}'
            await self.work(queue, record['ticket'], path, record['state'])

    async def work(self, queue, ticket, path, state):
        while state in ('queued', None) and not self.crowd.is_over:
            state = await self.look(queue, ticket, f'{path}?wait=true&timeout=5')
            if state is None:
                await asyncio.sleep(0.1)
        consumer = None
        for _ in range(0 if self.crowd.is_over else self.rng.randint(0, 3)):
            holds = {self.rng.choice(self.world['shared'] + self.pair): 1}
            generation, _ = self.held.get(consumer, (None, None))
            consumer = consumer if generation else self.new_uuid()
            await self.put(consumer, generation, holds, ticket)
        if self.rng.random() < 0.2 and not self.crowd.is_over:
            # Some leases end, and the holder does not know.
            await asyncio.sleep(self.rng.uniform(0, 3))
            await self.put(self.new_uuid(), None, {self.pair[0]: 1}, ticket)
        if self.rng.random() < 0.3:
            await self.look(queue, ticket, path)
        if self.rng.random() < 0.9:
            record = {'kind': 'leave', 'queue': queue, 'ticket': ticket}
            await self.send(record, 'DELETE', path)
            self.keep(record)
        if self.rng.random() < 0.2:
            await self.put(self.new_uuid(), None, {self.pair[0]: 1}, ticket)
            await self.look(queue, ticket, path)

    async def look(self, queue, ticket, path):
        record = {'kind': 'look', 'queue': queue, 'ticket': ticket, 'state': None}
        answer = await self.send(record, 'GET', path)
        if answer and answer.status == 200:
            show_ticket(record, answer.body)
        self.keep(record)
        return record['state']


def error_text(body):
    try:
        return body['errors'][0]['detail']
    except (TypeError, KeyError, IndexError):
        return repr(body)


def error_code(body):
    try:
        return body['errors'][0]['code']
    except (TypeError, KeyError, IndexError):
        return None


def show_ticket(record, body):
    record['state'], record['fence'] = body['status'], body['fence']


def show_search(record, body, world):
    """The part of an answer that the checker looks at."""
    summaries = body['provider_summaries']
    record['used'] = {provider: each['resources']['VCPU']['used'] for provider, each in summaries.items()
                      if provider in world['capacity']}
    record['offered'] = [provider for request in body['allocation_requests'] for provider in request['allocations']]
    children = {provider: [] for provider in record['used']}
    for provider, each in summaries.items():
        if each['parent_provider_uuid'] in children:
            children[each['parent_provider_uuid']].append(provider)
    record['children'] = children


class Crowd:
    """All clients, which run until `is_over`."""

    def __init__(self, world, ports, seed, history, pause=0.05):
        self.world, self.ports, self.seed, self.history, self.pause = world, ports, seed, history, pause
        self.is_over = False

    async def run(self, clients, seconds):
        async def end():
            await asyncio.sleep(seconds)
            self.is_over = True
        await asyncio.gather(end(), *(Client(number, self).run() for number in range(clients)))
