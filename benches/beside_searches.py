#!/usr/bin/env python3
"""How long claims take beside searches that run out of time, and beside as many busy processes instead.

    benches/beside_searches.py [--hosts 1000] [--rate 100] [--database postgres|mysql|sqlite]

Some clients search without a pause. A search finds nothing among more combinations than it can try, so it
takes all of its time. Two clients claim and release at a steady rate on the same server. Turns beside
nothing, beside busy processes and beside searches alternate; the median of each figure counts. The
last column is from the metric allotment_fleet_change_wait_seconds: a bound of the time for which 99 % of
the changes waited until the picture could show them.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid

import compare
from compare import databases, drivers

CHILDREN = 30
GROUPS = '&'.join(f'resources_{number}=VCPU:4' for number in range(CHILDREN + 1))
ENDLESS = f'/allocation_candidates?{GROUPS}&group_policy=none'
HEADERS = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39',
           'content-type': 'application/json'}
WAIT = re.compile(r'^allotment_fleet_change_wait_seconds_bucket\{le="([^"]+)"\} (\d+)$', re.M)


def send(url, method='GET', body=None):
    data = None if body is None else compare.json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, HEADERS, method=method)) as answer:
        return answer.read().decode()


def add_wide_host(server):
    """A host whose children take one group each. The searches have one group more than there are children."""
    root = str(uuid.uuid4())
    send(f'{server.url}/resource_providers', 'POST', {'name': root, 'uuid': root})
    for _ in range(CHILDREN):
        child = str(uuid.uuid4())
        send(f'{server.url}/resource_providers', 'POST',
             {'name': child, 'uuid': child, 'parent_provider_uuid': root})
        send(f'{server.url}/resource_providers/{child}/inventories', 'PUT',
             {'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': 6}}})


@contextlib.contextmanager
def searches(server, number):
    """Clients that search again as soon as their search is refused, as each of these searches is."""
    done, ended = threading.Event(), []

    def search():
        while not done.is_set():
            try:
                send(server.url + ENDLESS)
            except urllib.error.HTTPError as refusal:
                ended.append(refusal.code)

    threads = [threading.Thread(target=search) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        if set(ended) != {400}:
            raise SystemExit(f'not all searches ran out of time: {ended}')


@contextlib.contextmanager
def busy(_server, number):
    """Processes that keep processors busy, as many as there would be searches."""
    counting = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(number)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nothing(_server, _number):
    yield


def waits(server):
    """How many changes waited no longer than each bound of the metric."""
    return {float(bound): int(count) for bound, count in WAIT.findall(send(f'{server.url}/metrics'))}


def percentile(before, after, share):
    """The lowest bound that so large a share of the changes did not exceed."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    wanted = counts[float('inf')] * share
    return min(bound for bound, count in counts.items() if count >= wanted)


def run(arguments, workdir):
    database = databases.KINDS[arguments.database]('bench_beside', workdir)
    database.create()
    server = compare.Allotment(workdir, next(drivers.free_ports()), database)
    server.configure('limits', candidate_visits=1 << 62, candidate_seconds=arguments.search_seconds)
    server.ensure_started()
    try:
        load = compare.Load(arguments.load or compare.load_driver(), arguments.hosts)
        compare.fill(load, server, database, nested=False)
        server.ensure_started()
        add_wide_host(server)
        sides = {'nothing': nothing, 'busy processes': busy, 'searches': searches}
        found = {name: [] for name in sides}
        for _ in range(arguments.turns):
            for name, beside in sides.items():
                with beside(server, arguments.number):
                    before = waits(server)
                    report = load(server.url, 'claim', '--clients', 2, '--rate', arguments.rate,
                                  '--seconds', arguments.seconds)
                    report['wait'] = percentile(before, waits(server), 0.99)
                found[name].append(report)
        print(f'\n| {arguments.number} of these beside | claims/s | p50 | p99 | 99% waited for the picture below |')
        print('| --- | --- | --- | --- | --- |')
        for name, reports in found.items():
            of = {key: compare.median([report[key] for report in reports])
                  for key in ('per_second', 'p50_ms', 'p99_ms', 'wait')}
            print(f'| {name} | {of["per_second"]:.0f} | {of["p50_ms"]:.3f} ms | {of["p99_ms"]:.3f} ms '
                  f'| {of["wait"] * 1e3:g} ms |', flush=True)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--hosts', type=int, default=1000)
    parser.add_argument('--rate', type=float, default=100, help='claims a second')
    parser.add_argument('--seconds', type=float, default=10, help='for each measurement')
    parser.add_argument('--turns', type=int, default=3, help='of which the median counts')
    parser.add_argument('--number', type=int, default=2 * (os.cpu_count() or 1), help='of searches at once')
    parser.add_argument('--search-seconds', type=int, default=8, help='how long a search takes')
    parser.add_argument('--load', help='the load driver, if it is built already')
    parser.add_argument('--database', choices=('postgres', 'mysql', 'sqlite'), default='postgres')
    arguments = parser.parse_args()
    with compare.surroundings(arguments.database) as (workdir, _):
        run(arguments, workdir)


if __name__ == '__main__':
    main()
