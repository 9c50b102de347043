#!/usr/bin/env python3
"""A fleet of 100,000 providers with 1,000,000 allocations: start, memory, search, claim, sweep, status, and a replica that sleeps.

    benches/large.py [--database postgres|mysql] [--hosts 100000] [--asleep 600] [--status PROGRAM]

The rows are written by SQL, on a database server of the run's own with fsync on. Two replicas then serve. One of them is
suspended (SIGSTOP) while claims go through the other. After that, the first search of the suspended replica is timed:
the search must show the last claim.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import signal
import statistics
import subprocess
import threading
import time
import uuid

import compare
from compare import databases, drivers

import service as services

HEADERS = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39', 'content-type': 'application/json'}
CLASSES = {'VCPU': (256, 1), 'MEMORY_MB': (1048576, 512), 'DISK_GB': (8000, 1)}
CONSUMERS_OF_HOST = 10 / 3
TRAITS = 10


class Replica(services.Service):
    def command(self):
        return ['env', 'ALLOTMENT_LOG=warn', *super().command()]


class Client:
    def __init__(self, server, timeout=600):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=timeout)

    def send(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), HEADERS)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def numbers(database, most):
    return f'seq_1_to_{most}' if isinstance(database, databases.MariaDb) else f'generate_series(1, {most}) AS s (seq)'


def fill(database, hosts):
    """Writes the fleet, while nobody serves it."""
    is_mysql = isinstance(database, databases.MariaDb)
    text = 'CHAR' if is_mysql else 'TEXT'
    now = 'UTC_TIMESTAMP()' if is_mysql else "now() AT TIME ZONE 'UTC'"

    def padded(prefix, value):
        return f"CONCAT('{prefix}-0000-4000-8000-', LPAD(CAST({value} AS {text}), 12, '0'))"

    consumers = round(hosts * CONSUMERS_OF_HOST + 0.5)
    host = f'(seq % {hosts}) + 1'
    statements = [
        'INSERT INTO resource_providers (created_at, id, uuid, name, generation, root_provider_id) '
        f"SELECT {now}, seq, {padded('aaaaaaaa', 'seq')}, CONCAT('host', seq), 1, seq FROM {numbers(database, hosts)}",
        f"INSERT INTO projects (created_at, id, external_id) VALUES ({now}, 1, 'bench')",
        f"INSERT INTO users (created_at, id, external_id) VALUES ({now}, 1, 'bench')",
        f"INSERT INTO placement_aggregates (created_at, id, uuid) SELECT {now}, seq, {padded('bbbbbbbb', 'seq')} "
        f'FROM {numbers(database, hosts // 40 + 1)}',
        f'INSERT INTO resource_provider_aggregates (created_at, resource_provider_id, aggregate_id) '
        f"SELECT {now}, seq, {'seq DIV 40' if is_mysql else 'seq / 40'} + 1 FROM {numbers(database, hosts)}",
        f'INSERT INTO resource_provider_traits (created_at, trait_id, resource_provider_id) SELECT {now}, t.id, seq '
        f'FROM {numbers(database, hosts)} CROSS JOIN (SELECT id FROM traits ORDER BY id LIMIT {TRAITS}) AS t',
        'INSERT INTO consumers (created_at, uuid, project_id, user_id, generation) '
        f"SELECT {now}, {padded('cccccccc', 'seq')}, 1, 1, 1 FROM {numbers(database, consumers)}"]
    for name, (total, used) in CLASSES.items():
        of_class = f"(SELECT id FROM resource_classes WHERE name = '{name}')"
        statements += [
            'INSERT INTO inventories (created_at, resource_provider_id, resource_class_id, total, reserved, min_unit, '
            f'max_unit, step_size, allocation_ratio) SELECT {now}, seq, {of_class}, {total}, 0, 1, {total}, 1, 1.0 '
            f'FROM {numbers(database, hosts)}',
            'INSERT INTO allocations (created_at, resource_provider_id, consumer_id, resource_class_id, used) '
            f"SELECT {now}, {host}, {padded('cccccccc', 'seq')}, {of_class}, {used} FROM {numbers(database, consumers)}"]
    tables = ['resource_providers', 'inventories', 'allocations', 'consumers', 'resource_provider_traits']
    if is_mysql:
        statements.append(f'ANALYZE TABLE {", ".join(tables)}')
    else:
        statements += [f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"
                       for table in ('resource_providers', 'projects', 'users', 'placement_aggregates')]
        statements.append('ANALYZE')
    with contextlib.closing(database._connect()) as connection:
        for statement in statements:
            cursor = connection.cursor()
            cursor.execute(statement)
            if is_mysql:
                cursor.fetchall()
        connection.commit()


def host_uuid(number):
    return f'aaaaaaaa-0000-4000-8000-{number:012}'


def measure(name, servers, pids, work, clients=1, seconds=5.0):
    """Runs work over and over; prints CPU time of each operation (all servers; the database) and latencies."""
    before = [compare.cpu_seconds(pid) for pid in pids]
    until, times = time.monotonic() + seconds, []

    def run(index):
        client, number = Client(servers[index % len(servers)]), index
        while time.monotonic() < until:
            begun = time.monotonic()
            work(client, number)
            times.append((time.monotonic() - begun) * 1e3)
            number += clients

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(run, index) for index in range(clients)]:
            done.result()
    used = [(compare.cpu_seconds(pid) - b) * 1e3 / len(times) for pid, b in zip(pids, before)]
    times.sort()
    print(f'| {name} | {clients} | {sum(used[:-1]):.3f} ms | {used[-1]:.3f} ms | {statistics.median(times):.2f} ms '
          f'| {times[len(times) * 99 // 100]:.2f} ms | {len(times) / seconds:,.0f} /s |', flush=True)


def search(query):
    def ask(client, number):
        status, _ = client.send('GET', query.format(aggregate=f'bbbbbbbb-0000-4000-8000-{number % 2000 + 1:012}',
                                                    host=host_uuid(number % 50000 + 1)))
        assert status == 200, status
    return ask


def claims(hosts):
    def claim(client, number):
        path = f'/allocations/{uuid.uuid4()}'
        assert take(client, path, host_uuid(number * 7919 % hosts + 1)) == 204
        assert client.send('DELETE', path)[0] == 204
    return claim


def take(client, path, host):
    amounts = {name: used for name, (_, used) in CLASSES.items()}
    return client.send('PUT', path, {
        'allocations': {host: {'resources': amounts}}, 'project_id': 'bench', 'user_id': 'bench',
        'consumer_type': 'INSTANCE', 'consumer_generation': None})[0]


def used_of(client, host):
    """The VCPUs in use as the picture has them, and how long the answer took."""
    begun = time.monotonic()
    status, body = client.send('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={host}')
    took = time.monotonic() - begun
    if status != 200:
        return None, took
    return json.loads(body)['provider_summaries'][host]['resources']['VCPU']['used'], took


def sleep(servers, pids, hosts, asleep):
    """Suspends the second replica while claims go through the first one."""
    awake, sleeper = servers
    sleeper.process.send_signal(signal.SIGSTOP)
    is_over, count = threading.Event(), [0]

    def work():
        client, number = Client(awake), 0
        while not is_over.is_set():
            claims(hosts)(client, number)
            number += 1
            count[0] += 1
            is_over.wait(0.01)

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(asleep)
    is_over.set()
    worker.join()
    host = host_uuid(hosts // 2)
    expected = used_of(Client(awake), host)[0] + 1
    assert take(Client(awake), f'/allocations/{uuid.uuid4()}', host) == 204
    before = [compare.cpu_seconds(pid) for pid in pids]
    begun = time.monotonic()
    sleeper.process.send_signal(signal.SIGCONT)
    answers = []
    while True:
        seen, took = used_of(Client(sleeper), host)
        answers.append((seen, round(took, 2)))
        assert seen in (None, expected), answers
        if seen == expected:
            break
    first = time.monotonic() - begun
    while Client(sleeper).send('GET', '/healthcheck?ready')[0] != 200:
        time.sleep(0.05)
    ready = time.monotonic() - begun
    used = [compare.cpu_seconds(pid) - b for pid, b in zip(pids, before)]
    print(f'asleep for {asleep:.0f} s, {2 * count[0]} writes meanwhile: the first right answer after {first:.2f} s '
          f'({len(answers)} requests, none old), ready after {ready:.2f} s, CPU {used[1]:.2f} s, '
          f'of the database {used[-1]:.2f} s, memory then {compare.memory_mib(pids[1]):.0f} MiB', flush=True)
    log = sleeper.log()
    print('  ' + '; '.join(line for line in log.splitlines() if 'read again' in line)[-300:], flush=True)


def sweeps(server, database, database_pid, hosts, seconds=40):
    """The load of one sweep after the other, and the time until a change by hand shows."""
    pids = [server.process.pid, database_pid]
    before = [compare.cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    shares = [(compare.cpu_seconds(pid) - b) / seconds * 100 for pid, b in zip(pids, before)]
    client, times = Client(server), []
    for _ in range(5):
        with contextlib.closing(database._connect()) as connection:
            connection.cursor().execute(
                f'UPDATE resource_providers SET generation = generation + 1 WHERE id = {hosts // 2}')
            connection.commit()
        wanted = database.query(f'SELECT generation FROM resource_providers WHERE id = {hosts // 2}')[0][0]
        begun = time.monotonic()
        while True:
            body = json.loads(client.send('GET', f'/resource_providers?uuid={host_uuid(hosts // 2)}')[1])
            if body['resource_providers'][0]['generation'] == wanted:
                break
            time.sleep(0.02)
        times.append(time.monotonic() - begun)
    print(f'sweeps with a second between them: {shares[0]:.0f} % of a processor, the database {shares[1]:.0f} %; '
          f'a change by hand shows after {min(times):.1f} to {max(times):.1f} s', flush=True)


def status(program, database):
    begun = time.monotonic()
    done = subprocess.run([program, 'status', '--database', database.url], capture_output=True, text=True,
                          env=drivers.environment())
    print(f'status: {time.monotonic() - begun:.2f} s, exit code {done.returncode}\n{done.stdout}{done.stderr}')


def run(arguments, workdir, server):
    database = databases.KINDS[arguments.database]('bench_large', workdir)
    database.create()
    ports = drivers.free_ports()

    def replica(name, **tables):
        (workdir / name).mkdir()
        return Replica(workdir / name, next(ports), database, tables)

    subprocess.run([drivers.binary(), 'migrate', '--database', database.url], check=True, env=drivers.environment(),
                   stderr=subprocess.DEVNULL)
    begun = time.monotonic()
    fill(database, arguments.hosts)
    print(f'filled in {time.monotonic() - begun:.0f} s:', *database.query(
        'SELECT (SELECT count(*) FROM resource_providers), (SELECT count(*) FROM allocations)'), flush=True)
    made = [replica('first'), replica('second')]
    try:
        for each in made:
            before = compare.cpu_seconds(server.process.pid)
            begun = time.monotonic()
            each.ensure_started()
            print(f'answers {time.monotonic() - begun:.2f} s after its start, CPU '
                  f'{compare.cpu_seconds(each.process.pid):.2f} s, of the database '
                  f'{compare.cpu_seconds(server.process.pid) - before:.2f} s, '
                  f'{compare.memory_mib(each.process.pid):.0f} MiB', flush=True)
        pids = [*(each.process.pid for each in made), server.process.pid]
        print('\n| work, two replicas | clients | CPU of the replicas | of the database | p50 | p99 | rate |\n'
              '| --- | --- | --- | --- | --- | --- | --- |')
        for name, query in [
                ('candidates, limit 10', '/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1&limit=10'),
                ('candidates, limit 1000', '/allocation_candidates?resources=VCPU:1,DISK_GB:1&limit=1000'),
                ('candidates of an aggregate', '/allocation_candidates?resources=VCPU:1&member_of={aggregate}'),
                ('list by uuid', '/resource_providers?uuid={host}')]:
            measure(name, made, pids, search(query))
        measure('claim of 3 classes, and its end', made, pids, claims(arguments.hosts))
        measure('claim of 3 classes, and its end', made, pids, claims(arguments.hosts), clients=8)
        print(f'memory: {" and ".join(f"{compare.memory_mib(pid):.0f}" for pid in pids[:2])} MiB\n', flush=True)
        if arguments.status:
            status(arguments.status, database)
        for asleep in arguments.asleep or [60, 600]:
            sleep(made, pids, arguments.hosts, asleep)
        for each in made:
            each.stop()
        made.append(replica('sweeping', placement={'recheck_seconds': 1}))
        made[-1].ensure_started()
        sweeps(made[-1], database, server.process.pid, arguments.hosts)
    finally:
        for each in made:
            if each.process is not None:
                each.process.send_signal(signal.SIGCONT)
            each.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--database', choices=('postgres', 'mysql'), default='postgres')
    parser.add_argument('--hosts', type=int, default=100_000)
    parser.add_argument('--asleep', type=float, action='append', help='for how long a replica sleeps; repeatable')
    parser.add_argument('--status', metavar='PROGRAM', help='also time the command status of this build')
    arguments = parser.parse_args()
    with compare.surroundings(arguments.database) as (workdir, server):
        run(arguments, workdir, server)


if __name__ == '__main__':
    main()
