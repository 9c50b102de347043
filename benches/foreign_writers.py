#!/usr/bin/env python3
"""What the triggers of database.foreign_writers cost: the same work without and with them.

    benches/foreign_writers.py [--database postgres|mysql] [--turns 5] [--rounds 100]

Needs the database servers (eval "$(make -s servers)") and ALLOTMENT_BIN. One client claims three classes of a host and
releases them: through Placement, through the service, and in SQL with the statements of Placement. The same client
searches through the service. Turns without and with triggers alternate, and the median of all rounds counts.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'tests' / directory) for directory in ('support', 'beside')]

import databases  # noqa: E402
import drivers  # noqa: E402
from api import Api  # noqa: E402
from pair import ours_on, running, upstream_on  # noqa: E402

CLASSES = ['VCPU', 'MEMORY_MB', 'DISK_GB']
OWN = {'postgres': "SET allotment.own = 'on'", 'mysql': 'SET @allotment_own = 1'}


def claim_by_http(api, provider):
    def round():
        path = f'/allocations/{uuid.uuid4()}'
        api('PUT', path, {
            'allocations': {provider: {'resources': dict.fromkeys(CLASSES, 1)}}, 'project_id': 'red',
            'user_id': 'alice', 'consumer_generation': None, 'consumer_type': 'INSTANCE'})
        api('DELETE', path)
    return round


def search(api):
    return lambda: api('GET', '/allocation_candidates?resources=VCPU:1&limit=10')


def claim_by_sql(connection, provider):
    """The statements of Placement that write, in its two transactions."""
    cursor = connection.cursor()

    def first(sql):
        cursor.execute(sql)
        return cursor.fetchone()[0]
    host = first(f"SELECT id FROM resource_providers WHERE uuid = '{provider}'")
    project, user = first('SELECT min(id) FROM projects'), first('SELECT min(id) FROM users')
    connection.commit()

    def round():
        consumer = str(uuid.uuid4())
        cursor.execute(f"INSERT INTO consumers (uuid, project_id, user_id, generation) "
                       f"VALUES ('{consumer}', {project}, {user}, 1)")
        for number in range(3):
            cursor.execute(f"INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used) "
                           f"VALUES ({host}, '{consumer}', {number}, 1)")
        cursor.execute(f'UPDATE resource_providers SET generation = generation + 1 WHERE id = {host}')
        connection.commit()
        cursor.execute(f"DELETE FROM allocations WHERE consumer_id = '{consumer}'")
        cursor.execute(f"DELETE FROM consumers WHERE uuid = '{consumer}'")
        connection.commit()
    return round


def times(round, rounds):
    for _ in range(3):
        round()
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        round()
        found.append((time.perf_counter() - begun) * 1000)
    return found


def turn(directory, database, kind, setting, provider, rounds):
    """The times of each kind of work, with triggers or without."""
    found = {}
    if setting == 'sweep':
        subprocess.run([drivers.binary(), 'migrate', '--remove-triggers', '--database', database.url], check=True,
                       env=drivers.environment(), stdout=subprocess.DEVNULL)
    with running(ours_on(directory / 'ours', database, setting, 3600)) as [ours]:
        api = Api(ours.url)
        for name, round in [('a claim and its release through the service', claim_by_http(api, provider)),
                            ('a search with limit 10', search(api))]:
            found[name] = times(round, rounds)
        with running(upstream_on(directory / 'upstream', database)) as [upstream]:
            round = claim_by_http(Api(upstream.url), provider)
            found['a claim and its release through Placement'] = times(round, rounds)
        for name, set_up in [('in SQL', 'SELECT 1'), ('in SQL, marked as own', OWN[kind])]:
            connection = database._connect()
            connection.cursor().execute(set_up)
            found[f'a claim and its release {name}'] = times(claim_by_sql(connection, provider), rounds)
            connection.close()
    return found


def main(arguments):
    kind = arguments.database
    with tempfile.TemporaryDirectory(prefix='allotment-bench-') as name:
        directory = pathlib.Path(name)
        database = databases.KINDS[kind]('bench_foreign_writers', directory)
        database.create()
        try:
            with running(ours_on(directory / 'ours', database, 'sweep', 3600)) as [ours]:
                api, provider = Api(ours.url), str(uuid.uuid4())
                api('POST', '/resource_providers', {'name': provider, 'uuid': provider})
                api('PUT', f'/resource_providers/{provider}/inventories', {
                    'resource_provider_generation': 0, 'inventories': {each: {'total': 100000} for each in CLASSES}})
                claim_by_http(api, provider)()
            found = {'sweep': {}, 'triggers': {}}
            for _ in range(arguments.turns):
                for setting, works in found.items():
                    taken = turn(directory, database, kind, setting, provider, arguments.rounds)
                    for work, values in taken.items():
                        works.setdefault(work, []).extend(values)
            print(f'\n| {kind} | without | with triggers |\n| --- | --- | --- |')
            for work in found['sweep']:
                figures = [f'{statistics.median(works[work]):.2f} ms' for works in found.values()]
                print(f'| {work} | {" | ".join(figures)} |')
        finally:
            database.drop()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--database', choices=['postgres', 'mysql'], default='postgres')
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--rounds', type=int, default=100)
    main(parser.parse_args())
