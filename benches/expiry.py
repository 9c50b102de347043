#!/usr/bin/env python3
"""How long other requests take while many tickets of the waitlist expire at one moment.

    benches/expiry.py [--tickets 100000] [--queues 10] [--database postgres|mysql]

The tickets are written into the database while the service is stopped: an active one in each queue, and the
queued ones behind it. All have the same end. Clients send requests at a steady rate before that moment and
from that moment on, until no ticket of the queues is live. The first rows are for the time before, the others for the time
after.
"""

import argparse
import collections
import contextlib
import http.client
import json
import threading
import time
import uuid

import compare
from compare import databases, drivers

HOSTS = 100
SCOPE = 'bench'
# How long the service has for its start, and the requests before the end of the tickets.
LEAD = 15
HEADERS = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39',
           'content-type': 'application/json'}


class Client:
    """A connection on which each request is timed."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port)
        self.times = []
        self.statuses = collections.Counter()

    def send(self, method, path, body=None):
        begun = time.monotonic()
        self.connection.request(method, path, body and json.dumps(body), HEADERS)
        answer = self.connection.getresponse()
        text = answer.read()
        self.times.append(time.monotonic() - begun)
        self.statuses[answer.status] += 1
        return json.loads(text) if text and answer.status < 300 else None


def read(client, host, _queue):
    client.send('GET', f'/resource_providers/{host}')


def claim(client, host, _queue):
    path = f'/allocations/{uuid.uuid4()}'
    client.send('PUT', path, {
        'allocations': {host: {'resources': {'VCPU': 1, 'MEMORY_MB': 512}}}, 'project_id': 'bench',
        'user_id': 'bench', 'consumer_type': 'INSTANCE', 'consumer_generation': None})
    client.send('DELETE', path)


def join(client, host, queue):
    path = f'/resource_providers/{host}/waitlist'
    ticket = client.send('POST', path, {'scope': SCOPE, 'id': queue, 'lease_seconds': 60})
    if ticket:
        client.send('DELETE', f'{path}/{ticket["uuid"]}')


WORK = {
    'read a provider': (read, None),
    'claim, and its end': (claim, None),
    'join another queue, and leave it': (join, 'other'),
    'join one of the queues, and leave it': (join, '0'),
}


def work(client, does, queue, hosts, pause, until):
    """Sends requests until told to stop. A request that comes late makes the next one no earlier."""
    number = 0
    while not until.is_set():
        # All queues with tickets that expire are the first host's.
        host = hosts[0] if queue == '0' else hosts[number % len(hosts)]
        does(client, host, queue)
        number += 1
        until.wait(pause)


@contextlib.contextmanager
def requests(server, hosts, rate):
    """Clients that work meanwhile, one for each kind of work; gives the clients."""
    until = threading.Event()
    clients = {name: Client(server) for name in WORK}
    threads = [threading.Thread(target=work, args=(clients[name], *what, hosts, 1 / rate, until))
               for name, what in WORK.items()]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        until.set()
        for thread in threads:
            thread.join()


def execute(database, *statements):
    with contextlib.closing(database._connect()) as connection:
        for statement in statements:
            connection.cursor().execute(statement)
        connection.commit()


def live(database):
    return database.query(f"SELECT coalesce(sum(live), 0) FROM waitlist_queues WHERE scope = '{SCOPE}' "
                          "AND resource_id <> 'other'")[0][0]


def crowd(database, tickets, queues):
    """Writes the tickets behind the active ones; returns the moment at which all of them end."""
    each = tickets // queues - 1
    if isinstance(database, databases.MariaDb):
        # MariaDB ends a recursive question after 1,000 steps otherwise.
        prepare = [f'SET max_recursive_iterations = {each + 1}']
    else:
        prepare = []
    execute(
        database, *prepare,
        'INSERT INTO waitlist_tickets (queue_id, position, uuid, status, generation, fenced_writes, created_at, '
        'updated_at) WITH RECURSIVE numbers (number) AS '
        f'(SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {each}) '
        "SELECT id, generation + number, CONCAT('00000000-0000-4000-8000-', "
        'CAST(100000000000 + id * 1000000 + number AS CHAR(12))), '
        f"'queued', 1, 0, created_at, updated_at FROM waitlist_queues, numbers WHERE scope = '{SCOPE}'",
        f"UPDATE waitlist_queues SET generation = generation + {each}, live = live + {each} "
        f"WHERE scope = '{SCOPE}'")
    end = time.time() + LEAD
    execute(database, f'UPDATE waitlist_tickets SET expires_at = {int(end * 1e6)}')
    return end


def show(name, clients, seconds):
    for kind, client in clients.items():
        times = sorted(client.times)
        at = [times[min(len(times) - 1, int(len(times) * share))] * 1e3 for share in (0.5, 0.99, 1)]
        statuses = ' '.join(f'{status}:{count}' for status, count in sorted(client.statuses.items()))
        print(f'| {name}, {seconds:.0f} s | {kind} | {len(times) / seconds:.0f} | '
              f'{" | ".join(f"{value:.1f} ms" for value in at)} | {statuses} |', flush=True)


def run(arguments, workdir):
    database = databases.KINDS[arguments.database]('bench_expiry', workdir)
    database.create()
    server = compare.Allotment(workdir, next(drivers.free_ports()), database)
    server.ensure_started()
    try:
        load = compare.Load(arguments.load or compare.load_driver(), HOSTS)
        compare.fill(load, server, database, nested=False)
        server.ensure_started()
        hosts = [provider['uuid'] for provider in
                 compare.get(server, '/resource_providers')['resource_providers']]
        client = Client(server)
        for number in range(arguments.queues):
            client.send('POST', f'/resource_providers/{hosts[0]}/waitlist',
                        {'scope': SCOPE, 'id': str(number), 'lease_seconds': 3600})
        if set(client.statuses) != {201}:
            raise SystemExit(f'the queues could not be made: {client.statuses}')
        server.stop()
        end = crowd(database, arguments.tickets, arguments.queues)
        print(f'{live(database):,} tickets, which end in {end - time.time():.1f} s', flush=True)
        server.ensure_started()
        before = end - time.time() - 1
        if before < 2:
            raise SystemExit('the tickets end too soon after the start')
        with requests(server, hosts, arguments.rate) as quiet:
            time.sleep(before)
        time.sleep(max(0, end - time.time()))
        with requests(server, hosts, arguments.rate) as busy:
            # A ticket of the clients may be among these for a moment.
            while live(database) > 1:
                time.sleep(0.5)
            ended = time.time() - end
        print('\n| | work | requests/s | p50 | p99 | longest | statuses |')
        print('| --- | --- | --- | --- | --- | --- | --- |')
        show('before', quiet, before)
        show('while tickets expire', busy, ended)
        left = database.query("SELECT count(*) FROM waitlist_tickets WHERE status IN ('queued', 'active') "
                              f"AND expires_at = {int(end * 1e6)}")[0][0]
        print(f'\nall have ended {ended:.1f} s after their time' if not left else f'\n{left} tickets are left')
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--tickets', type=int, default=100_000)
    parser.add_argument('--queues', type=int, default=10, help='that the tickets are in')
    parser.add_argument('--rate', type=float, default=50, help='of each client, a second')
    parser.add_argument('--unsynced', action='store_true', help='the database does not wait for the disk')
    parser.add_argument('--load', help='the load driver, if it is built already')
    parser.add_argument('--database', choices=('postgres', 'mysql'), default='postgres')
    arguments = parser.parse_args()
    with compare.surroundings(arguments.database, not arguments.unsynced) as (workdir, _):
        run(arguments, workdir)


if __name__ == '__main__':
    main()
