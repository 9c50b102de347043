#!/usr/bin/env python3
"""The cost of other replicas: the same work on a replica that runs alone, and on one of three.

    benches/replicas.py [--database postgres|mysql] [--hosts 1000] [--seconds 3] [--turns 5]

A service that runs alone on a database and three replicas on a copy of this database do the same work in turn, in one run,
with fsync on. A search on one of the replicas asks the feed for the changes by the others, or shows a picture that is at
most a second old (`database.max_staleness_seconds = 1`, a fourth replica). Claims come from 9 clients, on the service
alone or on three replicas with 3 clients each. CPU time is the time of all services and of the database together. The
median of the turns counts.
"""

import argparse
import concurrent.futures

from compare import (
    Allotment, Load, analyze, copy, cpu_seconds, databases, drivers, fill, load_driver, median, surroundings)

STALE = 'ALLOTMENT_DATABASE__MAX_STALENESS_SECONDS=1'


class Stale(Allotment):
    """A replica whose searches may be a second old."""

    def command(self):
        return ['env', STALE, *super().command()]


def measure(load, replicas, every, database, work, clients, seconds, seed):
    """Runs the work on all of the replicas at the same time. The time of the services that only listen counts too."""
    pids = [service.process.pid for service in every] + [database.process.pid]
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
    made = {}
    for name in ('alone', 'shared'):
        (workdir / name).mkdir()
        made[name] = databases.KINDS[arguments.database](f'bench_{name}', workdir / name)
    made['alone'].create()

    def make(name, database, kind=Allotment):
        (workdir / name).mkdir()
        return kind(workdir / name, next(ports), made[database])
    alone, *replicas = [make('service', 'alone'), *(make(f'replica{number}', 'shared') for number in range(3))]
    stale = make('stale', 'shared', Stale)
    alone.ensure_started()
    load = Load(arguments.load or load_driver(), arguments.hosts)
    fill(load, alone, made['alone'], False)
    copy(made['alone'], made['shared'])
    if arguments.database == 'mysql':
        for database in made.values():
            analyze(database)
    states = [
        ('search, alone', [alone], 'candidates-10', 1),
        ('search, three other replicas run', replicas[:1], 'candidates-10', 1),
        ('search, three other replicas run, a second old', [stale], 'candidates-10', 1),
        ('search, 8 clients, alone', [alone], 'candidates-10', 8),
        ('search, 8 clients, three other replicas run', replicas[:1], 'candidates-10', 8),
        ('claim, alone', [alone], 'claim', 9),
        ('claim, through three replicas', replicas, 'claim', 9)]
    found = {name: [] for name, *_ in states}
    every = [alone, *replicas, stale]
    try:
        for service in every:
            service.ensure_started()
        for _, asked, work, clients in states:
            measure(load, asked, every, server, work, clients, 1, 99)
        for turn in range(arguments.turns):
            for name, asked, work, clients in states:
                found[name].append(measure(load, asked, every, server, work, clients, arguments.seconds, turn + 1))
    finally:
        for service in every:
            service.stop()
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
