"""`allotment adopt` takes over a database of upstream, and `allotment restore-upstream` gives it back."""

import json
import pathlib
import re
import subprocess
import sys

import api
import drivers
import fleet
import pytest
import recording
import service as services
from test_older_release import NEWER, OLDER, SYNC, statements

KINDS = ['sqlite', 'postgres', 'mysql']
REVISION = 'SELECT version_num FROM alembic_version'
UUID = '11111111-2222-4333-8444-{:012}'

on_each = pytest.mark.parametrize('database, kind', [(kind, kind) for kind in KINDS], indirect=['database'], ids=KINDS)


def upstream(directory, database, revision=None):
    """A database that upstream has made, at the newest revision or another one. Returns the configuration file."""
    server = drivers.UpstreamServer(directory, 0, database)
    server.write_config(policy_file=None)
    path = server.workdir / 'placement.conf'
    if revision is None:
        command = [pathlib.Path(sys.executable).with_name('placement-manage'), '--config-file', path, 'db', 'sync']
    else:
        command = [sys.executable, '-c', SYNC, path, revision]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=300)
    return path


def ours(path, *arguments, **variables):
    done = subprocess.run([drivers.binary(), *arguments, '--placement-conf', path], capture_output=True, text=True,
                          timeout=300, stdin=subprocess.DEVNULL, env={**drivers.environment(), **variables})
    return done.returncode, done.stdout, done.stderr


def check(path, **variables):
    """Exit code, and the result and the details of each check."""
    code, output, told = ours(path, 'adopt', '--check', '--json', **variables)
    assert code in (0, 1), told
    found = json.loads(output)
    assert found['name'] == 'Adoption Check Results'
    return code, {row['check']: (row['result'], row['details'] or '') for row in found['checks']}


def schema(database, kind):
    """All tables, indexes and triggers."""
    queries = {
        'sqlite': ["SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"],
        'postgres': ['SELECT tablename, indexname FROM pg_indexes WHERE schemaname = current_schema()',
                     'SELECT tablename, schemaname FROM pg_tables WHERE schemaname = current_schema()',
                     'SELECT tgname, tgtype FROM pg_trigger WHERE NOT tgisinternal',
                     "SELECT proname, pronargs FROM pg_proc WHERE proname LIKE 'allotment%'"],
        'mysql': ['SELECT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE()',
                  'SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()',
                  'SELECT trigger_name, event_object_table FROM information_schema.triggers '
                  'WHERE trigger_schema = DATABASE()'],
    }
    return sorted({tuple(row) for query in queries[kind] for row in database.query(query)})


WRITES = [
    "INSERT INTO resource_classes (id, name) VALUES (1, 'MEMORY_MB')",
    f"INSERT INTO resource_providers (id, uuid, name, generation) VALUES (1, '{UUID.format(1)}', 'a', 0)",
    *(f"INSERT INTO inventories (id, resource_provider_id, resource_class_id, total, reserved, min_unit, max_unit, "
      f'step_size, allocation_ratio) VALUES ({provider}, {provider}, 1, 8, 0, 1, 8, 1, 1.0)' for provider in (1, 77)),
    *(f'INSERT INTO allocations (id, resource_provider_id, consumer_id, resource_class_id, used) '
      f"VALUES ({n}, 1, '{UUID.format(n)}', {n}, 1)" for n in (1, 2)),
]


@on_each
def test_the_checks_find_what_is_wrong_and_change_nothing(database, kind, tmp_path):
    path = upstream(tmp_path, database)
    before = schema(database, kind)
    code, found = check(path)
    assert code == 0
    # The configuration names a policy file that is not there.
    assert [name for name, (result, _) in found.items() if result] == ['Keystone', 'Options of placement.conf']
    assert 'noauth2' in found['Keystone'][1] and 'microversions 1.0 to 1.39' in found['Changes for Clients'][1]
    # Upstream inserts the standard names when it starts.
    assert 'standard traits' in found['Changes for Clients'][1]
    database.execute(WRITES)
    code, found = check(path)
    assert code == 0
    assert found['Missing Root Provider IDs'][0] == 1 and '1 resource providers' in found['Missing Root Provider IDs'][1]
    assert found['Incomplete Consumers'][0] == 1 and '2 consumers' in found['Incomplete Consumers'][1]
    result, details = found['Orphaned Rows']
    assert result == 1 and details.splitlines() == [
        'inventories.resource_provider_id: 1 rows refer to a row that is not there.',
        'allocations.resource_class_id: 1 rows refer to a row that is not there.',
        '1 allocations are of a resource class that their provider has no inventory of.']
    # A policy that the service would refuse, and an option that is not honoured.
    policy = tmp_path / 'policy.yaml'
    policy.write_text('"placement:traits:list": role\n')
    text = path.read_text().replace(str(tmp_path / 'no-policy.yaml'), str(policy))
    path.write_text(text + '[DEFAULT]\nrate_limit_interval = 5\n')
    code, found = check(path)
    assert code == 1 and found['Policy File Rules'][0] == 2
    assert found['Options of placement.conf'][0] == 1 and 'rate_limit_interval' in found['Options of placement.conf'][1]
    assert schema(database, kind) == before
    # The same as a table.
    code, output, _ = ours(path, 'adopt', '--check')
    assert code == 1 and re.search(r'\| Check: Orphaned Rows +\|\n\| Result: Warning ', output)


@pytest.mark.parametrize('database, kind', [('mysql', 'mysql')], indirect=['database'], ids=['mysql'])
def test_texts_that_do_not_fit_or_can_not_be_compared(database, kind, tmp_path):
    path = upstream(tmp_path, database)
    database.execute([f'ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci'
                      for table in ('allocations', 'consumers')])
    assert check(path)[1]['Character Sets'] == (0, '')
    database.execute(['ALTER TABLE placement_aggregates CONVERT TO CHARACTER SET latin1'])
    code, found = check(path)
    assert code == 0 and found['Character Sets'][0] == 1 and 'placement_aggregates (latin1)' in found['Character Sets'][1]
    database.execute(['ALTER TABLE consumers CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci'])
    code, found = check(path)
    assert 'utf8mb4_general_ci, utf8mb4_unicode_ci' in found['Character Sets'][1]
    assert code == 1 and found['Incomplete Consumers'][0] == 2 and 'Illegal mix' in found['Incomplete Consumers'][1]


@on_each
def test_a_database_that_can_not_be_adopted(database, kind, tmp_path):
    path = upstream(tmp_path, database)
    database.execute(["UPDATE alembic_version SET version_num = 'b5c396305c25'"])
    code, found = check(path)
    assert code == 1 and found['Schema Revision'][0] == 2 and 'b5c396305c25' in found['Schema Revision'][1]
    for arguments in (['adopt'], ['adopt', '--dry-run']):
        code, _, told = ours(path, *arguments)
        assert code == 1 and 'b5c396305c25' in told
    path.write_text('[placement_database]\nconnection = sqlite:////nonexistent/x.db\n')
    for arguments, expected in [(['adopt', '--check'], 2), (['adopt'], 1), (['restore-upstream'], 1)]:
        code, output, told = ours(path, *arguments)
        assert (code, output) == (expected, '') and 'cannot connect to the database' in told


@on_each
def test_an_older_release_is_adopted(database, kind, tmp_path):
    path = upstream(tmp_path, database, OLDER)
    older = schema(database, kind)
    # Without the rows that refer to nothing.
    database.execute([WRITES[0], WRITES[1], WRITES[2], WRITES[4]])
    code, found = check(path)
    assert code == 0 and found['Schema Revision'][0] == 1 and OLDER in found['Schema Revision'][1]
    code, output, _ = ours(path, 'adopt', '--dry-run')
    assert code == 0 and schema(database, kind) == older and database.query(REVISION) == [(OLDER,)]
    lines = output.splitlines()
    # The statements are those that the page shows.
    shown = [line.removeprefix('statement: ') for line in lines if line.startswith('statement: ')]
    assert [line.replace('IF EXISTS ', '') for line in shown] == statements(kind)
    assert lines[-2:] == ['set_root_provider_ids: 1 rows', 'create_incomplete_consumers: 1 rows']
    assert any(line.endswith('_waitlist') for line in lines if line.startswith('migration: '))

    done = ours(path, 'adopt')
    assert done[0] == 0, done
    assert database.query(REVISION) == [(NEWER,)]
    assert database.query('SELECT root_provider_id FROM resource_providers') == [(1,)]
    assert database.query('SELECT uuid FROM consumers') == [(UUID.format(1),)]
    code, output, _ = ours(path, 'adopt')
    assert (code, output) == (0, 'nothing to do\n')
    assert ours(path, 'migrate', '--check')[0] == 0
    # The schema is then that of a new database of upstream.
    assert ours(path, 'restore-upstream')[0] == 0
    mended = schema(database, kind)
    database.drop()
    database.create()
    upstream(tmp_path, database)
    assert mended == schema(database, kind)


@on_each
def test_a_database_is_given_back(database, kind, tmp_path, serve):
    path = upstream(tmp_path, database)
    before = schema(database, kind)
    variables = {} if kind == 'sqlite' else {'ALLOTMENT_DATABASE__FOREIGN_WRITERS': 'triggers'}
    code, output, _ = ours(path, 'adopt', **variables)
    assert code == 0 and ('trigger: ' in output) == (kind != 'sqlite')
    adopted = schema(database, kind)
    tables = {'database': {} if kind == 'sqlite' else {'foreign_writers': 'triggers'}}
    service = services.Service(tmp_path, next(drivers.PORTS), database, tables)
    service.ensure_started()
    try:
        fleet.fill(api.Api(service.url))
        api.Api(service.url)('POST', '/waitlist', {'lease_seconds': 600, 'tickets': [
            {'resource_provider_uuid': fleet.name_to_uuid('cn1'), 'scope': 'vm', 'id': 'a'}]})
        answers = recording.record(api.Api(service.url))
        code, output, told = ours(path, 'restore-upstream')
        assert code == 1 and 'the service runs on this database' in told
    finally:
        service.stop()
    assert schema(database, kind) == adopted
    code, dry, _ = ours(path, 'restore-upstream', '--dry-run')
    assert code == 0 and schema(database, kind) == adopted
    assert 'table: waitlist_tickets, 1 rows\n' in dry

    code, output, _ = ours(path, 'restore-upstream')
    assert code == 0 and output == dry + "the database is Placement's again\n"
    assert schema(database, kind) == before
    assert ours(path, 'restore-upstream')[:2] == (0, 'nothing to do\n')
    server = serve(drivers.UpstreamServer)
    theirs = recording.record(api.Api(server.url))
    assert recording.differences(theirs, answers) == []
    server.stop()
    # And there again.
    assert ours(path, 'adopt')[0] == 0
    assert ours(path, 'migrate', '--check')[0] == 0
