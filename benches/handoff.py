#!/usr/bin/env python3
"""How soon a client is woken whose turn comes at another one of three replicas.

    benches/handoff.py [--database galera|postgres|mysql] [--turns 300] [--expiries 15]

On a Galera cluster, each replica has a node of its own. The other databases have fsync on.

Hand-off: the holder releases its ticket through one replica, and the successor waits at another one. The time counts
from the answer to the release until the answer to the successor. Expiry: the holder does nothing, and its lease ends.
The time counts from `expires_at` until the answer to the successor. For half of these turns, the replica that took both
tickets is killed before the lease ends.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import threading
import time
import uuid

from compare import databases, drivers, surroundings
from galera_claims import HEADERS, cluster

LEASE = 2


@contextlib.contextmanager
def three_replicas(kind):
    if kind == 'galera':
        with cluster() as (_, _, replicas):
            yield replicas
        return
    with surroundings(kind) as (workdir, _):
        database, replicas = databases.KINDS[kind]('bench', workdir), []
        database.create()
        try:
            for number in range(3):
                (workdir / f'replica{number}').mkdir()
                replicas.append(drivers.AllotmentServer(workdir / f'replica{number}', next(drivers.PORTS), database))
                replicas[-1].ensure_started()
            yield replicas
        finally:
            for replica in replicas:
                replica.stop()


class Client:
    """A connection to a replica, which stays open."""

    def __init__(self, replica):
        self.connection = http.client.HTTPConnection('127.0.0.1', replica.port)

    def __call__(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), HEADERS)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f'{method} {path}: {answer.status} {text.decode()}')
        return json.loads(text) if text else None


class Waiter(threading.Thread):
    """Waits for the turn of a ticket at a replica."""

    def __init__(self, replica, path):
        super().__init__()
        self.client, self.path = Client(replica), path
        self.start()
        # Until the replica has the request. The successor must wait before its turn comes.
        time.sleep(0.1)

    def run(self):
        ticket = self.client('GET', f'{self.path}?wait=true&timeout=60')
        self.at = time.time()
        if ticket['status'] != 'active':
            raise SystemExit(f'the wait ended without a turn: {ticket}')

    def woken_at(self):
        self.join()
        return self.at


def make_queue(replica):
    client, provider = Client(replica), str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    return f'/resource_providers/{provider}/waitlist'


def take(client, queue, lease=600):
    ticket = client('POST', queue, {'scope': 'host', 'id': 'work', 'lease_seconds': lease})
    return f'{queue}/{ticket["uuid"]}', ticket


def hand_off(replicas, turns):
    queue = make_queue(replicas[0])
    held, _ = take(Client(replicas[0]), queue)
    times = []
    for turn in range(turns):
        holder, successor = replicas[turn % len(replicas)], replicas[(turn + 1) % len(replicas)]
        following, _ = take(Client(successor), queue)
        waiter, client = Waiter(successor, following), Client(holder)
        client('DELETE', held)
        released_at = time.time()
        times.append(waiter.woken_at() - released_at)
        held = following
    return times


def expire(replicas, turns, is_killed):
    times = []
    for turn in range(turns):
        owner, successor = replicas[turn % len(replicas)], replicas[(turn + 1) % len(replicas)]
        client, queue = Client(owner), make_queue(successor)
        _, ticket = take(client, queue, LEASE)
        following, _ = take(client, queue)
        waiter = Waiter(successor, following)
        if is_killed:
            owner.kill()
        end = datetime.datetime.fromisoformat(ticket['expires_at'].replace('Z', '+00:00')).timestamp()
        times.append(waiter.woken_at() - end)
        owner.ensure_started()
    return times


def show(name, times):
    times = sorted(times)
    at = [times[min(len(times) - 1, int(len(times) * share))] * 1e3 for share in (0.5, 0.99, 1)]
    print(f'| {name} | {len(times)} | {" | ".join(f"{value:.1f} ms" for value in at)} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--turns', type=int, default=300, help='of hand-off')
    parser.add_argument('--expiries', type=int, default=15, help='of each kind')
    parser.add_argument('--database', choices=('galera', 'postgres', 'mysql'), default='galera')
    arguments = parser.parse_args()
    with three_replicas(arguments.database) as replicas:
        # A new replica writes nothing until the others know of it.
        time.sleep(2)
        print('| | turns | p50 | p99 | longest |\n| --- | --- | --- | --- | --- |')
        show('hand-off', hand_off(replicas, arguments.turns))
        show('expiry', expire(replicas, arguments.expiries, False))
        show('expiry, and the replica that took the tickets is dead', expire(replicas, arguments.expiries, True))


if __name__ == '__main__':
    main()
