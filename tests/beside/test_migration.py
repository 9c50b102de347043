"""The endpoint moves from upstream Placement to the service and back while clients work, as docs/migrating.md says."""

import concurrent.futures
import contextlib
import pathlib
import re
import subprocess

import drivers
import fleet
import pytest
import worlds
from api import Api
from crowd import Crowd
from pair import ours_on, running, upstream_on
from waiting import until

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'migrating.md'
on_servers = pytest.mark.parametrize('database, kind', [(kind, kind) for kind in ('postgres', 'mysql')],
                                     indirect=['database'], ids=['postgres', 'mysql'])


def section(title):
    """A section of the document, with all below it."""
    level, rest = re.search(rf'^(#+) {title}\n(.*)', DOCUMENT.read_text(), re.DOTALL | re.MULTILINE).groups()
    return re.split(rf'^#{{1,{len(level)}}} ', rest, flags=re.MULTILINE)[0]


def shown(title, start):
    """The lines of a section's blocks that begin with these words."""
    return re.findall(rf'^(?: {{4}}| {{7}})({start}.*)$', section(title), re.MULTILINE)


def run(command, database):
    """A command of the document, with the settings that it exports, but for the URL."""
    settings = dict(line.removeprefix('export ').split('=', 1) for line in shown('Beside each other', 'export'))
    settings['ALLOTMENT_DATABASE__URL'] = database.url
    assert command.startswith('allotment ')
    done = subprocess.run([drivers.binary(), *command.split()[1:]], env={**drivers.environment(), **settings},
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def succeed(command, database):
    status, output = run(command, database)
    assert status == 0, output


def sorted_lists(value):
    if isinstance(value, dict):
        return {key: sorted_lists(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(each) for each in value), key=repr)
    return value


SCHEMA = {'postgres': 'current_schema()', 'mysql': 'DATABASE()'}


def triggers(database, kind):
    return database.query('SELECT trigger_name FROM information_schema.triggers '
                          f"WHERE trigger_schema = {SCHEMA[kind]} AND trigger_name LIKE 'allotment%'")


def last_mark(database):
    return database.query('SELECT coalesce(max(id), 0) FROM allotment_marks')[0][0]


def usages(database):
    return dict(database.query(
        'SELECT uuid, CAST(sum(used) AS CHAR(9)) FROM allocations '
        'JOIN resource_providers ON resource_providers.id = resource_provider_id GROUP BY uuid'))


@on_servers
@pytest.mark.parametrize('way', ['back', 'on'])
def test_the_move(tmp_path, database, kind, way):
    seed = worlds.seed()
    print(f'ALLOTMENT_TEST_SEED={seed}')
    ours = ours_on(tmp_path / 'ours', database, 'triggers', 3600)
    with running(upstream_on(tmp_path / 'upstream', database)) as [upstream]:
        crowd = Crowd(upstream.url, seed)
        with crowd.at_work():
            crowd.go_on()
            check, migrate = shown('Beside each other', 'allotment migrate')[:2]
            assert run(check, database)[0] == 1
            succeed(migrate, database)
            assert run(check, database) == (0, '')
            with running(ours):
                crowd.go_on()
                crowd.lead_to(upstream.url, ours.url)
                crowd.lead_to(ours.url)
                if way == 'back':
                    crowd.lead_to(upstream.url, ours.url)
                    crowd.lead_to(upstream.url)
                else:
                    upstream.stop()
                    crowd.go_on()
                    # A restart of a service alone is a stop for its clients, so the settings stay in this test.
                    remove = shown('Beside each other', 'allotment migrate --remove')[0]
                    succeed(remove, database)
                    crowd.go_on()
                    crowd.stop()
            if way == 'back':
                go_back(crowd, database, kind)
    assert {provider: int(used) for provider, used in usages(database).items()} == {
        provider: used for provider, used in crowd.used().items() if used}
    print(f'{crowd.conflicts} claims came second')


def go_back(crowd, database, kind):
    """No process of ours runs any more, and clients write through upstream."""
    before = last_mark(database)
    crowd.go_on()
    assert last_mark(database) > before
    # After fifteen minutes no watch is valid any more.
    database.execute(['DELETE FROM allotment_watches'])
    crowd.go_on()
    before = last_mark(database)
    crowd.go_on()
    assert last_mark(database) == before
    [remove] = shown('Back to Placement', 'allotment migrate')
    succeed(remove, database)
    crowd.go_on()
    assert triggers(database, kind) == []
    tables = database.query(f'SELECT table_name FROM information_schema.tables WHERE table_schema = {SCHEMA[kind]}')
    ours = [name for [name] in tables if name.startswith(('waitlist_', 'allotment_', '__diesel'))]
    assert len(ours) > 7
    database.execute([f'DROP TABLE {name}' for name in ours])
    crowd.go_on()
    crowd.stop()


@on_servers
def test_the_triggers_are_removed_in_sql(database, kind):
    migrate = shown('Beside each other', 'allotment migrate')[1]
    succeed(migrate, database)
    assert len(triggers(database, kind)) > 15
    remove_in_sql(database, kind)
    assert triggers(database, kind) == []


WAITING = {
    'postgres': "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'allocations'::regclass",
    'mysql': 'SELECT count(*) FROM information_schema.processlist '
             "WHERE db = DATABASE() AND state = 'Waiting for table metadata lock'"}


@on_servers
def test_a_request_that_waits_for_the_removal_of_triggers_goes_on(database, kind):
    """The request has two connections, as some of Placement's requests do. No database sees that such a request and the
    removal wait for each other.
    """
    succeed(shown('Beside each other', 'allotment migrate')[1], database)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with contextlib.closing(database._connect()) as first:
            first.cursor().execute('SELECT count(*) FROM allocations')
            [remove] = shown('Back to Placement', 'allotment migrate')
            removal = pool.submit(run, remove, database)
            until(lambda: database.query(WAITING[kind])[0][0], 'the removal waits')
            database.execute(['DELETE FROM allocations'])
        status, output = removal.result()
    assert status == 0, output
    assert triggers(database, kind) == []


def remove_in_sql(database, kind):
    if kind == 'postgres':
        database.execute([statement.rstrip(';') for statement in shown('Back to Placement', 'DROP FUNCTION')])
    else:
        query = '\n'.join([*shown('Back to Placement', 'SELECT CONCAT'), *shown('Back to Placement', 'WHERE')])
        database.execute([statement.rstrip(';') for [statement] in database.query(query.rstrip(';'))])


@on_servers
def test_both_answer_the_documented_questions_alike(tmp_path, database, kind):
    ours = ours_on(tmp_path / 'ours', database, 'triggers', 3600)
    with running(upstream_on(tmp_path / 'upstream', database), ours) as (upstream, ours):
        fleet.fill(Api(upstream.url))
        paths = [line.removeprefix('GET ') for line in shown('Beside each other', 'GET ')]
        assert len(paths) == 4
        for path in paths:
            theirs, own = (sorted_lists(Api(server.url)('GET', path)) for server in (upstream, ours))
            assert own == theirs, path
            assert any(theirs.values()), path
