#!/usr/bin/env python3
"""The cost of other replicas: the same work on a replica that runs alone, and on one of three.

    benches/replicas.py [--database postgres|mysql] [--hosts 1000] [--seconds 3] [--turns 5]

All replicas use one database with fsync on. A search on one replica asks the feed for the changes by the others, or
shows a picture that is at most a second old (`database.max_staleness_seconds = 1`). Claims come from 9 clients, on one
replica or on three replicas with 3 clients each. CPU time is the time of all replicas and of the database together. The
states take turns in one run, and the median of the turns counts.
"""

import argparse
import concurrent.futures

from compare import (
    Allotment, Load, cpu_seconds, databases, drivers, fill, load_driver, median, surroundings)

STALE = 'ALLOTMENT_DATABASE__MAX_STALENESS_SECONDS=1'


class Stale(Allotment):
    """A replica whose searches may be a second old."""

    def command(self):
        return ['env', STALE, *super().command()]


def measure(load, replicas, database, work, clients, seconds, seed):
    """Runs the work on all of the replicas at the same time."""
    pids = [replica.process.pid for replica in replicas] + [database.process.pid]
    before = [cpu_seconds(pid) for pid in pids]
    options = ['--clients', clients // len(replicas), '--seconds', seconds, '--seed', seed]
    with concurrent.futures.ThreadPoolExecutor(len(replicas)) as pool:
        reports = list(pool.map(lambda replica: load(replica.url, work, *options), replicas))
    spent = [cpu_seconds(pid) - one for pid, one in zip(pids, before)]
    operations = sum(report['operations'] for report in reports)
    return {'cpu': sum(spent) * 1e3 / operations, 'servers': sum(spent[:-1]) * 1e3 / operations,
            'p50': median([report['p50_ms'] for report in reports]),
            'p99': max(report['p99_ms'] for report in reports),
            'rate': sum(report['per_second'] for report in reports)}


def run(arguments, workdir, server):
    ports = drivers.free_ports()
    database = databases.KINDS[arguments.database]('bench_replicas', workdir)
    database.create()

    def make(name, kind=Allotment):
        (workdir / name).mkdir()
        return kind(workdir / name, next(ports), database)
    first, second, third, stale = make('first'), make('second'), make('third'), make('stale', Stale)
    first.ensure_started()
    load = Load(arguments.load or load_driver(), arguments.hosts)
    fill(load, first, database, False)
    states = [
        ('search, alone', [first], 'candidates-10', 1, []),
        ('search, two other replicas run', [first], 'candidates-10', 1, [second, third]),
        ('search, two other replicas run, a second old', [stale], 'candidates-10', 1, [second, third]),
        ('claim, alone', [first], 'claim', 9, []),
        ('claim, through three replicas', [first, second, third], 'claim', 9, [])]
    found = {name: [] for name, *_ in states}
    try:
        for turn in range(arguments.turns):
            for name, asked, work, clients, others in states:
                for replica in (first, second, third, stale):
                    if replica in asked or replica in others:
                        replica.ensure_started()
                    else:
                        replica.stop()
                # The first turn of each state warms up the caches, and connections.
                measure(load, asked, server, work, clients, 1, 99)
                found[name].append(measure(load, asked, server, work, clients, arguments.seconds, turn + 1))
    finally:
        for replica in (first, second, third, stale):
            replica.stop()
    print('\n| work | CPU/op (servers alone) | p50 | p99 | rate |\n| --- | --- | --- | --- | --- |')
    for name, reports in found.items():
        row = {key: median([report[key] for report in reports]) for key in reports[0]}
        print(f'| {name} | {row["cpu"]:.3f} ms ({row["servers"]:.3f}) | {row["p50"]:.3f} ms | {row["p99"]:.3f} ms '
              f'| {row["rate"]:,.0f} /s |')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--hosts', type=int, default=1000)
    parser.add_argument('--seconds', type=float, default=3)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--load', help='the load driver, if it is built already')
    parser.add_argument('--database', choices=('postgres', 'mysql'), default='postgres')
    arguments = parser.parse_args()
    with surroundings(arguments.database) as (workdir, server):
        run(arguments, workdir, server)


if __name__ == '__main__':
    main()
