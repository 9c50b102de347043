#!/usr/bin/env python3
"""How long searches take while others claim: the same searches without and with claims beside them.

    benches/under_claims.py [--hosts 10000] [--rate 100] [--database postgres|sqlite]

One client searches as fast as it can, two others claim and release at a steady rate on the same
server. Turns without and with claims alternate; the median of each figure counts.
"""

import argparse
import json
import subprocess

import compare
from compare import databases, drivers

WORK = ('candidates-10', 'candidates-1000', 'candidates-nova', 'candidates-rare')


def turn(load, url, work, seconds, rate):
    """What the searches took, and how many claims a second there were beside them."""
    if not rate:
        return load(url, work, '--seconds', seconds), 0
    # A claim and its release are two operations that change the picture, and count as one.
    claims = subprocess.Popen(
        [load.program, url, 'claim', '--hosts', str(load.hosts), '--clients', '2', '--rate', str(rate),
         '--seconds', str(seconds + 1)], stdout=subprocess.PIPE, text=True)
    report = load(url, work, '--seconds', seconds)
    made = json.loads(claims.communicate()[0])
    refused = {status: count for status, count in made['statuses'].items() if status >= '300'}
    if refused:
        raise SystemExit(f'claims were refused: {refused}')
    return report, made['per_second']


def run(arguments, workdir):
    database = databases.KINDS[arguments.database]('bench_claims', workdir)
    database.create()
    server = compare.Allotment(workdir, next(drivers.free_ports()), database)
    server.ensure_started()
    try:
        load = compare.Load(arguments.load or compare.load_driver(), arguments.hosts)
        compare.fill(load, server, database, nested=False)
        server.ensure_started()
        print('\n| search | claims/s | p50 without / with claims | p99 without / with claims | p99.9 |')
        print('| --- | --- | --- | --- | --- |')
        for work in WORK:
            found = {0: [], arguments.rate: []}
            for _ in range(arguments.turns):
                for rate, reports in found.items():
                    reports.append(turn(load, server.url, work, arguments.seconds, rate))
            without, under = ([report for report, _ in reports] for reports in found.values())
            claims = compare.median([made for _, made in found[arguments.rate]])
            figures = [' / '.join(f'{compare.median([r[key] for r in reports]):.3f}'
                                  for reports in (without, under)) for key in ('p50_ms', 'p99_ms', 'p999_ms')]
            print(f'| {work} | {claims:.0f} | {" ms | ".join(figures)} ms |', flush=True)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--hosts', type=int, default=10_000)
    parser.add_argument('--rate', type=float, default=100, help='claims a second')
    parser.add_argument('--seconds', type=float, default=5, help='for each measurement')
    parser.add_argument('--turns', type=int, default=3, help='of which the median counts')
    parser.add_argument('--load', help='the load driver, if it is built already')
    parser.add_argument('--database', choices=('postgres', 'sqlite'), default='postgres')
    arguments = parser.parse_args()
    with compare.surroundings(arguments.database) as (workdir, _):
        run(arguments, workdir)


if __name__ == '__main__':
    main()
