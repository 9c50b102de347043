#!/usr/bin/env python3
"""allotment beside upstream Placement: the same work on both, in turn, in one run.

    make bench                     what benches/RESULTS.md shows, from scratch
    benches/compare.py [OPTIONS]   with a build of the profile dist and its load driver at hand

Both run on one PostgreSQL server of the run's own, with fsync on, each on a database of its own;
upstream's is a copy of ours, which it takes over. Upstream runs under uwsgi with 2 processes of 4
threads. For each kind of work the two are asked in turn; their answers are compared first.
With --before an older build of allotment takes upstream's place, which also works on SQLite and MariaDB.

CPU time is what the machine spent in the server's processes and in the database's, by operation:
the steadiest figure where others use the machine too.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(PROJECT / 'tests' / part) for part in ('support', 'servers')]

import databases  # noqa: E402
import drivers  # noqa: E402
import servers  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')

# Work, clients; what of it is slow on a large fleet is asked for by one client.
FLAT = [
    ('provider', 1), ('provider', 8), ('inventories', 8), ('traits', 8), ('usages', 8),
    ('allocations', 8), ('claim', 1), ('claim', 8), ('contended', 8),
    ('candidates-10', 1), ('candidates-1000', 1), ('candidates-all', 1), ('candidates-nova', 1),
    ('candidates-rare', 1), ('list', 1), ('schedule', 8)]
NESTED = [('nested-granular', 1), ('nested-isolate', 1), ('nested-subtree', 1)]


class DurablePostgreSql(servers.PostgreSql):
    """As an operator would run it: what is committed is on disk."""

    UNSAFE = {'fsync=off', 'full_page_writes=off', 'synchronous_commit=off'}

    def command(self):
        command = [part for part in super().command() if part not in self.UNSAFE]
        # What is left of each pair is its -c.
        return [part for at, part in enumerate(command)
                if part != '-c' or (at + 1 < len(command) and '=' in command[at + 1])]


class DurableMariaDb(servers.MariaDb):
    """As an operator would run it: what is committed is on disk."""

    UNSAFE = {'--innodb-flush-log-at-trx-commit=0', '--sync-frm=0', '--skip-innodb-doublewrite'}

    def command(self):
        return [part for part in super().command() if part not in self.UNSAFE]


DURABLE = {'postgres': DurablePostgreSql, 'mysql': DurableMariaDb}
UNSYNCED = {'postgres': servers.PostgreSql, 'mysql': servers.MariaDb}


class Uwsgi(drivers.UpstreamServer):
    """Upstream Placement as its operators run it."""

    def command(self):
        home = pathlib.Path(sys.executable).parents[1]
        return [home / 'bin' / 'uwsgi', '--http-socket', f'127.0.0.1:{self.port}', '--master',
                '--processes', '2', '--threads', '4', '--home', home, '--need-app',
                '--module', 'placement.wsgi.api:application', '--disable-logging',
                '--buffer-size', '65535', '--die-on-term', '--add-header', 'Connection: close',
                '--env', f'OS_PLACEMENT_CONFIG_DIR={self.workdir}']


class Allotment(drivers.AllotmentServer):
    """Ours, without a log line for each request, as upstream's are off too."""

    program = None

    def command(self):
        command = super().command()
        return ['env', 'ALLOTMENT_LOG=warn', self.program or command[0], *command[1:]]


def descendants(pid):
    """A process and all below it."""
    children = {}
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / 'stat').read_text().rsplit(')', 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, at = [pid], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def cpu_seconds(pid):
    """Time used by a process, those below it and those of them that have ended."""
    ticks = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f'/proc/{one}/stat').read_text().rsplit(')', 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICK


def memory_mib(pid):
    """Memory of a process and those below it; what they share counts once."""
    total = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f'/proc/{one}/smaps_rollup').read_text().splitlines():
                if line.startswith('Pss:'):
                    total += int(line.split()[1])
    return total / 1024


class Load:
    """The load driver, which cargo has built."""

    def __init__(self, program, hosts):
        self.program, self.hosts = program, hosts

    def __call__(self, url, work, *options):
        done = subprocess.run(
            [self.program, url, work, '--hosts', str(self.hosts), *map(str, options)],
            stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)


def load_driver():
    built = subprocess.run(
        ['cargo', 'build', '--locked', '--profile', 'dist', '--all-features', '--bench', 'load',
         '--message-format=json'], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get('target', {}).get('name') == 'load' and message.get('executable'):
            return message['executable']
    raise SystemExit('cargo built no load driver')


def get(server, path):
    request = urllib.request.Request(server.url + path, headers={
        'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def in_order(value):
    """Lists have no order in these answers."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(in_order, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def check_answers(sides, nested):
    """Both give the same answers, so that speed is compared and nothing else."""
    uuids = [provider['uuid'] for provider in get(sides[0], '/resource_providers')['resource_providers']]
    paths = [f'/resource_providers/{uuid}{part}' for uuid in uuids[::max(1, len(uuids) // 5)]
             for part in ('', '/inventories', '/traits', '/usages', '/allocations', '/aggregates')]
    if nested:
        paths.append('/allocation_candidates?resources=DISK_GB:10&resources1=VCPU:1,MEMORY_MB:512'
                     '&resources2=SRIOV_NET_VF:1&group_policy=none&same_subtree=1,2')
    else:
        paths += ['/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1',
                  '/allocation_candidates?resources=VCPU:1&required=CUSTOM_RARE',
                  '/resource_providers?resources=VCPU:1,DISK_GB:1']
    for path in paths:
        theirs, ours = (in_order(get(side, path)) for side in sides)
        if theirs != ours:
            raise SystemExit(f'the answers to GET {path} differ')
    print(f'{len(paths)} answers are the same on both sides')


def measure(load, server, database, work, clients, options):
    pids = [server.process.pid, *([database.process.pid] if database else [])]
    before = [cpu_seconds(pid) for pid in pids]
    report = load(server.url, work, '--clients', clients, *options)
    after = [cpu_seconds(pid) for pid in pids]
    operations = max(1, report['operations'])
    report['cpu_ms'] = [(b - a) * 1e3 / operations for a, b in zip(before, after)]
    return report


def median(values):
    return sorted(values)[len(values) // 2]


def summarise(reports):
    return {
        'server': median([r['cpu_ms'][0] for r in reports]),
        'cpu': median([sum(r['cpu_ms']) for r in reports]),
        'p50': median([r['p50_ms'] for r in reports]),
        'p99': median([r['p99_ms'] for r in reports]),
        'rate': median([r['per_second'] for r in reports]),
        'bytes': median([r['bytes'] for r in reports]),
        'statuses': ' '.join(f'{status}:{sum(r["statuses"].get(status, 0) for r in reports)}'
                             for status in sorted({s for r in reports for s in r['statuses']})),
    }


def compare(load, sides, database, plan, arguments):
    print('\n| work | clients | body | theirs CPU/op (server alone) | ours CPU/op (server alone) | ratio '
          '| p50 theirs / ours | rate theirs / ours | statuses theirs; ours |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    for work, clients in plan:
        reports = ([], [])
        for turn in range(arguments.turns):
            for side, found in zip(sides, reports):
                options = ['--seconds', arguments.seconds, '--seed', turn + 1]
                found.append(measure(load, side, database, work, clients, options))
        theirs, ours = map(summarise, reports)
        print(f'| {work} | {clients} | {ours["bytes"]:,} B | {theirs["cpu"]:.3f} ms '
              f'({theirs["server"]:.3f}) '
              f'| {ours["cpu"]:.3f} ms ({ours["server"]:.3f}) '
              f'| {theirs["cpu"] / max(ours["cpu"], 1e-6):,.0f} '
              f'| {theirs["p50"]:.3f} / {ours["p50"]:.3f} ms '
              f'| {theirs["rate"]:,.1f} / {ours["rate"]:,.0f} /s '
              f'| {theirs["statuses"]}; {ours["statuses"]} |', flush=True)


def planned(arguments):
    return [(work, clients) for work, clients in (NESTED if arguments.nested else FLAT)
            if not arguments.only or work in arguments.only]


def measure_alone(load, server, database, arguments):
    """Where upstream can't follow."""
    print('\n| work | clients | body | CPU/op (server alone) | p50 | p99 | rate | statuses |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- |')
    for work, clients in planned(arguments):
        ours = summarise([
            measure(load, server, database, work, clients, ['--seconds', arguments.seconds, '--seed', turn + 1])
            for turn in range(arguments.turns)])
        print(f'| {work} | {clients} | {ours["bytes"]:,} B | {ours["cpu"]:.3f} ms ({ours["server"]:.3f}) '
              f'| {ours["p50"]:.3f} ms | {ours["p99"]:.3f} ms | {ours["rate"]:,.0f} /s | {ours["statuses"]} |',
              flush=True)
    print(f'\nmemory: {memory_mib(server.process.pid):.0f} MiB')


def copy(source, target):
    """Makes `target` the same as `source`, which nobody uses now."""
    target.drop()
    if isinstance(source, databases.MariaDb):
        target.create()
        login = ['--no-defaults', '--protocol=tcp', f'-h{source.server.hostname}', f'-P{source.server.port}',
                 f'-u{source.server.username}']
        dumped = subprocess.Popen(
            [servers.find_program('mariadb-dump'), *login, source.name], stdout=subprocess.PIPE)
        subprocess.run([servers.find_program('mariadb'), *login, target.name], stdin=dumped.stdout, check=True)
        if dumped.wait():
            raise SystemExit('the database could not be copied')
        return
    if isinstance(source, databases.Sqlite):
        for path in source.path.parent.glob(f'{source.path.name}*'):
            shutil.copy(path, str(path).replace(str(source.path), str(target.path)))
    else:
        target._administer(f'CREATE DATABASE {target.name} TEMPLATE {source.name}')


def analyze(database):
    """Takes MariaDB's statistics of all tables anew. Otherwise the filled side has those of empty tables, and the
    copied side those of full ones."""
    for table, in database.query("SELECT table_name FROM information_schema.tables "
                                 "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"):
        database.query(f'ANALYZE TABLE {table}')


# So many hosts are filled over HTTP; more are copies of these.
FEW = 1000


def fill(load, server, database, nested):
    """Fills the service; a large fleet grows in the database, while nobody serves it."""
    hosts = load.hosts
    load.hosts = min(hosts, FEW) if isinstance(database, databases.PostgreSql) else hosts
    report = load(server.url, 'fill', '--clients', 8, *['--nested'] * nested)
    print('filled:', report, flush=True)
    server.stop()
    if load.hosts < hosts:
        psql = servers.find_program('psql')
        subprocess.run([psql, '-q', '-v', 'ON_ERROR_STOP=1', '-v', f'few={FEW}', '-v', f'hosts={hosts}',
                        '-d', database.url, '-f', PROJECT / 'benches' / 'grow.sql'], check=True)
        load.hosts = hosts


@contextlib.contextmanager
def surroundings(kind='postgres', durable=True):
    """A directory, and a database server of the run's own unless the kind of database is SQLite. The build
    of the profile dist is measured unless the environment names another."""
    made = DURABLE if durable else UNSYNCED
    os.environ.setdefault('ALLOTMENT_BIN', str(PROJECT / 'target' / 'dist' / 'allotment'))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix='allotment-bench-') as directory:
        os.chmod(directory, 0o755)
        if kind not in made:
            yield pathlib.Path(directory), None
            return
        server = made[kind](directory, detached=False)
        try:
            server.start()
            server.wait_until_ready()
            name, url = server.assignment()
            os.environ[name] = url
            yield pathlib.Path(directory), server
        finally:
            server.stop()


def run(arguments, workdir, database):
    ports = drivers.free_ports()
    made = {}
    for name in ['ours'] if arguments.alone else ['ours', 'theirs']:
        (workdir / name).mkdir()
        made[name] = databases.KINDS[arguments.database](f'bench_{name}', workdir / name)
    made['ours'].create()
    ours = Allotment(workdir / 'ours', next(ports), made['ours'])
    ours.ensure_started()
    load = Load(arguments.load or load_driver(), arguments.hosts)
    fill(load, ours, made['ours'], arguments.nested)
    if 'theirs' in made:
        copy(made['ours'], made['theirs'])
    for one in made.values():
        one.query('SELECT 1 FROM resource_providers')
        if arguments.analyze:
            analyze(one)
    begun = time.monotonic()
    ours.ensure_started()
    print(f'ours answers {time.monotonic() - begun:.2f} s after its start, '
          f'with {memory_mib(ours.process.pid):.0f} MiB')
    if arguments.alone:
        measure_alone(load, ours, database, arguments)
        ours.stop()
        return
    side = Allotment if arguments.before else Uwsgi
    theirs = side(workdir / 'theirs', next(ports), made['theirs'])
    theirs.program = arguments.before
    try:
        theirs.ensure_started()
        check_answers((theirs, ours), arguments.nested)
        compare(load, (theirs, ours), database, planned(arguments), arguments)
        print(f'\nmemory: theirs {memory_mib(theirs.process.pid):.0f} MiB, '
              f'ours {memory_mib(ours.process.pid):.0f} MiB')
    finally:
        theirs.stop()
        ours.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--hosts', type=int, default=1000)
    parser.add_argument('--nested', action='store_true', help='hosts are trees of five providers')
    parser.add_argument('--seconds', type=float, default=4, help='for each measurement')
    parser.add_argument('--turns', type=int, default=3, help='of which the median counts')
    parser.add_argument('--only', action='append', help='a kind of work; repeatable')
    parser.add_argument('--load', help='the load driver, if it is built already')
    parser.add_argument('--before', help='an older build of allotment, in place of upstream')
    parser.add_argument('--alone', action='store_true', help='without upstream, which large fleets are too much for')
    parser.add_argument('--database', choices=('postgres', 'mysql', 'sqlite'), default='postgres')
    parser.add_argument('--analyze', action='store_true', help="take MariaDB's statistics anew before the work")
    arguments = parser.parse_args()
    if arguments.analyze and arguments.database != 'mysql':
        parser.error('--analyze is for MariaDB')
    if arguments.database != 'postgres' and not (arguments.before or arguments.alone):
        parser.error('upstream is measured on PostgreSQL')
    with surroundings(arguments.database) as (workdir, database):
        run(arguments, workdir, database)


if __name__ == '__main__':
    main()
