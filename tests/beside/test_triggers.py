"""The triggers of database.foreign_writers: what they mark, for whom, and who may make them."""

import re
import subprocess
import threading
import uuid

import drivers
import httpx
import load
import pytest
from api import Api
from pair import ours_on, running
from waiting import until

on_servers = pytest.mark.parametrize('database, kind', [(kind, kind) for kind in ('postgres', 'mysql')],
                                     indirect=['database'], ids=['postgres', 'mysql'])
MANY = 1200


def marks_ever(database, kind):
    """The number of marks that were ever written, also of those that are deleted."""
    if kind == 'postgres':
        return database.query('SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM allotment_marks_id_seq')[0][0]
    return database.query("SELECT auto_increment - 1 FROM information_schema.tables "
                          "WHERE table_schema = DATABASE() AND table_name = 'allotment_marks'")[0][0]


def marks_read(server):
    """The number of marks that the service has read."""
    metrics = httpx.get(server.url + '/metrics', timeout=60, trust_env=False).text
    return int(re.search(r'^allotment_feed_marks_total (\d+)', metrics, re.M)[1])


def used(client, provider):
    found = client('GET', f'/allocation_candidates?resources=VCPU:1&in_tree={provider}')
    return found['provider_summaries'][provider]['resources']['VCPU']['used']


@on_servers
def test_own_writes_leave_no_marks(with_triggers, database, kind):
    """A write of every kind, and then one of another program, which shows that marks are counted."""
    ours, upstream = (Api(server.url) for server in with_triggers)
    before = marks_ever(database, kind)
    provider, consumer = load.make_provider(ours), str(uuid.uuid4())
    path = f'/resource_providers/{provider}'
    ours('PUT', '/traits/CUSTOM_OWN')
    ours('PUT', '/resource_classes/CUSTOM_OWN')
    ours('PUT', f'{path}/traits', {'resource_provider_generation': 1, 'traits': ['CUSTOM_OWN']})
    ours('PUT', f'{path}/aggregates', {'resource_provider_generation': 2, 'aggregates': [str(uuid.uuid4())]})
    # On PostgreSQL a claim is one statement, and a claim that replaces another is a transaction.
    ours('PUT', f'/allocations/{consumer}', load.claim_body({provider: 1}))
    ours('PUT', f'/allocations/{consumer}', load.claim_body({provider: 2}, 1))
    ours('DELETE', f'/allocations/{consumer}')
    ours('DELETE', f'{path}/traits')
    ours('DELETE', '/traits/CUSTOM_OWN')
    ours('DELETE', '/resource_classes/CUSTOM_OWN')
    ours('DELETE', path)
    assert marks_ever(database, kind) == before and marks_read(with_triggers[0]) == 0
    provider = load.make_provider(upstream)
    assert marks_ever(database, kind) > before
    assert len(ours('GET', f'/resource_providers?uuid={provider}')['resource_providers']) == 1
    assert marks_read(with_triggers[0]) == marks_ever(database, kind) - before


@on_servers
def test_a_replica_without_triggers_is_told(tmp_path, with_triggers, database, kind):
    ours, upstream = (Api(server.url) for server in with_triggers)
    with running(ours_on(tmp_path / 'other', database, 'sweep', 3600)) as [other]:
        other = Api(other.url)
        provider = load.make_provider(upstream)
        upstream('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 3}))
        assert used(ours, provider) == 3
        until(lambda: other('GET', f'/resource_providers?uuid={provider}')['resource_providers']
              and used(other, provider) == 3, 'the other replica is told')
        until(lambda: database.query('SELECT count(*) FROM allotment_marks') == [(0,)], 'the marks are deleted')


@on_servers
def test_one_statement_changes_many_providers(with_triggers, database, kind):
    ours = Api(with_triggers[0].url)
    now = "now() AT TIME ZONE 'UTC'" if kind == 'postgres' else 'UTC_TIMESTAMP()'
    rows = ', '.join(f"({now}, '{uuid.UUID(int=number)}', 'host{number}', 0)" for number in range(1, MANY + 1))
    inventories = ('INSERT INTO inventories (created_at, resource_provider_id, resource_class_id, total, reserved, '
                   'min_unit, max_unit, step_size, allocation_ratio) SELECT created_at, id, 0, 4, 0, 1, 4, 1, 1.0 '
                   'FROM resource_providers')
    database.execute([f'INSERT INTO resource_providers (created_at, uuid, name, generation) VALUES {rows}',
                      'UPDATE resource_providers SET root_provider_id = id', inventories])

    def hosts(amount):
        return len(ours('GET', f'/resource_providers?resources=VCPU:{amount}')['resource_providers'])
    assert (hosts(4), hosts(5)) == (MANY, 0)
    database.execute(['UPDATE inventories SET total = 8, max_unit = 8'])
    assert (hosts(8), hosts(9)) == (MANY, 0)
    database.execute(["UPDATE traits SET name = 'CUSTOM_RENAMED' WHERE name = 'HW_CPU_X86_AVX'"])
    assert ours('GET', '/resource_providers?required=CUSTOM_RENAMED') == {'resource_providers': []}
    database.execute(['DELETE FROM inventories', 'UPDATE resource_providers SET root_provider_id = NULL',
                      'DELETE FROM resource_providers'])
    assert ours('GET', '/resource_providers') == {'resource_providers': []}
    until(lambda: database.query('SELECT count(*) FROM allotment_marks') == [(0,)], 'the marks are deleted')


@on_servers
def test_no_search_sees_half_of_a_transaction(with_triggers, database, kind):
    """A claim goes to and fro between two providers through upstream. Each search finds it on one of them."""
    ours, upstream = (Api(server.url) for server in with_triggers)
    pair = [load.make_provider(upstream) for _ in range(2)]
    aggregate, consumer = str(uuid.uuid4()), str(uuid.uuid4())
    for provider in pair:
        upstream('PUT', f'/resource_providers/{provider}/aggregates', {
            'resource_provider_generation': 1, 'aggregates': [aggregate]})
    upstream('PUT', f'/allocations/{consumer}', load.claim_body({pair[0]: 1}))
    is_over, wrong, seen = threading.Event(), [], set()

    def watch():
        client = Api(with_triggers[0].url)
        while not is_over.is_set():
            found = client('GET', f'/allocation_candidates?resources=VCPU:1&member_of={aggregate}')
            amounts = [found['provider_summaries'][each]['resources']['VCPU']['used'] for each in pair]
            seen.add(sum(amounts))
            if min(amounts) > 0 or max(amounts) == 0:
                wrong.append(amounts)

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for move in range(1, 60):
            upstream('PUT', f'/allocations/{consumer}', load.claim_body({pair[move % 2]: move + 1}, move))
    finally:
        is_over.set()
        for watcher in watchers:
            watcher.join()
    assert not wrong, wrong[:20]
    assert len(seen) > 10
    assert used(ours, pair[1]) == 60


@on_servers
def test_the_start_fails_without_the_right_to_make_triggers(tmp_path, database, kind):
    """The tables are there, and the user may use them and make others, but may not change Placement's."""
    url, user = database.url, f'allotment_{uuid.uuid4().hex[:12]}'
    subprocess.run([drivers.binary(), 'migrate', '--database', url], env=drivers.environment(), check=True,
                   capture_output=True, timeout=120)
    server = database.server
    if kind == 'postgres':
        make = [f"CREATE USER {user} PASSWORD 'x'", f'GRANT USAGE, CREATE ON SCHEMA public TO {user}',
                f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}',
                f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}']
        drop = [f'DROP OWNED BY {user}', f'DROP USER {user}']
    else:
        make = [f"CREATE USER {user} IDENTIFIED BY 'x'",
                f'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {database.name}.* TO {user}']
        drop = [f'DROP USER {user}']
    database.execute(make)
    try:
        for at_start, words in [('true', "can't be created"), ('false', 'run "allotment migrate"')]:
            done = subprocess.run(
                [drivers.binary(), 'serve', '--listen', f'127.0.0.1:{next(drivers.PORTS)}'], capture_output=True,
                text=True, timeout=120, env={
                    **drivers.environment(), 'ALLOTMENT_DATABASE__FOREIGN_WRITERS': 'triggers',
                    'ALLOTMENT_DATABASE__MIGRATE_AT_START': at_start,
                    'ALLOTMENT_DATABASE__URL': server._replace(
                        netloc=f'{user}:x@{server.hostname}:{server.port}', path=f'/{database.name}').geturl()})
            assert done.returncode == 1, done
            assert 'foreign_writers' in done.stderr and words in done.stderr, done.stderr
    finally:
        database.execute(drop)
