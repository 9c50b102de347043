#!/usr/bin/env python3
"""Clients that claim from one provider through all nodes of a Galera cluster, until the provider is full.

    benches/galera_claims.py [--clients 24] [--units 3000] [--turns 3]

Each node has a replica of the service, and each replica has an equal part of the clients. A client claims one unit
after the other, each for another consumer, until a claim is refused. The provider then has to be full to the last
unit, and each granted unit has to be in the database once.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.request
import uuid

PROJECT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(PROJECT / 'tests' / part) for part in ('support', 'servers')]

import databases  # noqa: E402
import drivers  # noqa: E402
import galera  # noqa: E402

HEADERS = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39', 'content-type': 'application/json'}
PROCESSOR_TICK = os.sysconf('SC_CLK_TCK')


@contextlib.contextmanager
def cluster():
    """A cluster of three nodes, and a replica of the service on each."""
    os.environ.setdefault('ALLOTMENT_BIN', str(PROJECT / 'target' / 'dist' / 'allotment'))
    with tempfile.TemporaryDirectory(prefix='allotment-bench-') as name:
        os.chmod(name, 0o755)
        made, replicas = galera.Cluster(name, detached=False), []
        try:
            made.start()
            made.wait_until_ready()
            os.environ.update([made.assignment()])
            database = databases.Galera('bench', name)
            database.create()
            for number, node in enumerate(database.nodes):
                directory = pathlib.Path(name) / f'replica{number}'
                directory.mkdir()
                replicas.append(drivers.AllotmentServer(directory, next(drivers.PORTS), node))
                replicas[-1].ensure_started()
            yield made, database, replicas
        finally:
            for replica in replicas:
                replica.stop()
            made.stop()


class Connection:
    """A connection to a replica, which stays open."""

    def __init__(self, replica):
        self.connection = http.client.HTTPConnection('127.0.0.1', replica.port)

    def send(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), HEADERS)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def make_provider(replica, units):
    connection, provider = Connection(replica), str(uuid.uuid4())
    connection.send('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    status, text = connection.send('PUT', f'/resource_providers/{provider}/inventories', {
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': units}}})
    assert status == 200, text
    return provider


class Client(threading.Thread):
    """Claims units of one provider until a claim is refused."""

    def __init__(self, replica, provider):
        super().__init__()
        self.connection, self.provider = Connection(replica), provider
        self.times, self.granted, self.others = [], [], collections.Counter()

    def run(self):
        is_full = False
        while not is_full:
            consumer, begun = str(uuid.uuid4()), time.monotonic()
            status, text = self.connection.send('PUT', f'/allocations/{consumer}', {
                'allocations': {self.provider: {'resources': {'VCPU': 1}}}, 'project_id': 'bench',
                'user_id': 'bench', 'consumer_type': 'INSTANCE', 'consumer_generation': None})
            self.times.append(time.monotonic() - begun)
            if status == 204:
                self.granted.append(consumer)
                continue
            is_full = status == 409 and b'exceed' in text
            if not is_full:
                self.others[status] += 1


def retries(replica):
    with urllib.request.urlopen(f'{replica.url}/metrics') as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('allotment_database_retries_total'))


def processor(process):
    fields = pathlib.Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / PROCESSOR_TICK


def turn(nodes, database, replicas, arguments):
    """One provider, filled once; prints a row."""
    provider = make_provider(replicas[0], arguments.units)
    clients = [Client(replicas[number % len(replicas)], provider) for number in range(arguments.clients)]
    before = [sum(map(retries, replicas)), sum(processor(each.process) for each in replicas),
              sum(processor(each.process) for each in nodes)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.monotonic() - begun
    after = [sum(map(retries, replicas)), sum(processor(each.process) for each in replicas),
             sum(processor(each.process) for each in nodes)]
    again, ours, theirs = (new - old for new, old in zip(after, before))
    granted = [consumer for client in clients for consumer in client.granted]
    stored = {row[0] for row in database.query(
        'SELECT consumer_id FROM allocations a JOIN resource_providers p ON p.id = a.resource_provider_id '
        f"WHERE p.uuid = '{provider}'")}
    if stored != set(granted) or len(granted) != arguments.units:
        raise SystemExit(f'{len(granted)} units are granted and {len(stored)} are stored, of {arguments.units}')
    times = sorted(each for client in clients for each in client.times)
    at = [times[min(len(times) - 1, int(len(times) * share))] * 1e3 for share in (0.5, 0.99, 1)]
    others = sum((client.others for client in clients), collections.Counter())
    print(f'| {arguments.units} of {arguments.units} | {len(granted) / took:.0f} | '
          f'{" | ".join(f"{value:.0f} ms" for value in at)} | {again:.0f} | {ours / len(granted) * 1e3:.2f} ms | '
          f'{theirs / len(granted) * 1e3:.2f} ms | {dict(others) or "none"} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--clients', type=int, default=24)
    parser.add_argument('--units', type=int, default=3_000, help='that the provider has')
    parser.add_argument('--turns', type=int, default=3)
    arguments = parser.parse_args()
    with cluster() as (made, database, replicas):
        print('| granted | claims/s | p50 | p99 | longest | runs again | CPU of the replicas for a claim | '
              'CPU of the nodes | other answers |')
        print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
        for _ in range(arguments.turns):
            turn(made.nodes, database, replicas, arguments)


if __name__ == '__main__':
    main()
