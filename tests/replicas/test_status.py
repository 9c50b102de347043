"""`allotment status` beside real services: its answer and its exit code, and that it changes nothing."""

import concurrent.futures
import hashlib
import json
import subprocess
import urllib.parse

import drivers
import hosts
import load
import pytest
from api import Api
from service import await_true

on_servers = pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)
on_all = pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
MEMBERS = ['ok', 'problems', 'checked_at', 'database', 'schema', 'fleet', 'waitlist', 'feed', 'replicas']
# The migrations that a database of the release before the change feed lacks.
OF_FEED = ['2026-11-30-000000_feed', '2026-11-30-000001_marks', '2026-11-30-000002_replica_report']


def run(database, *arguments, url=None):
    return subprocess.run(
        [drivers.binary(), 'status', '--database', url or database.url, *arguments], env=drivers.environment(),
        capture_output=True, text=True, timeout=120)


def status(database, *arguments, url=None):
    """The exit code and the JSON, whose members are always the same."""
    done = run(database, '--json', *arguments, url=url)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    assert list(told) == MEMBERS
    assert told['ok'] == (done.returncode == 0) == (not told['problems'])
    return done.returncode, told


def states(told):
    return [each['state'] for each in told['replicas']]


def is_reported(database, count):
    """Whether so many replicas run and have told of their pictures."""
    return states(status(database)[1]).count('running') == count


@on_servers
def test_replicas_that_run_are_told_with_their_pictures(replicas, database):
    await_true(lambda: is_reported(database, 3), 'a replica does not run')
    clients = [Api(each.url) for each in replicas]
    for client in clients:
        hosts.Host(client.client.base_url)
    await_true(lambda: status(database)[0] == 0, status(database))
    code, told = status(database, '--replicas', '3')
    assert code == 0
    count, = database.query('SELECT count(*) FROM resource_providers')[0]
    assert count == 9 and told['fleet']['resource_providers'] == 9 and told['fleet']['consumers'] == 3
    assert told['schema'] == {'up_to_date': True, 'revision': 'a082b8bb98d0', 'needed_revision': 'a082b8bb98d0',
                              'pending_migrations': []}
    assert [each['resource_providers'] for each in told['replicas']] == [9, 9, 9]
    assert [each['pid'] for each in told['replicas']] == [each.process.pid for each in replicas]
    assert all(each['agrees'] and each['transactions'] > 0 and each['version'] for each in told['replicas'])
    assert told['feed']['entries'] == sum(each['transactions'] for each in told['replicas'])
    text = run(database)
    assert text.returncode == 0 and '9 resource providers' in text.stdout and 'no problems' in text.stdout
    # One replica more than there are.
    code, told = status(database, '--replicas', '4')
    assert (code, told['problems']) == (1, ['3 replicas run, and 4 are wanted'])


@on_servers
def test_a_replica_that_left_is_no_problem_and_one_that_was_killed_is(three, database):
    await_true(lambda: is_reported(database, 3), 'a replica does not run')
    three[0].stop()
    code, told = status(database)
    assert (code, states(told)) == (0, ['left', 'running', 'running'])
    pid = three[1].process.pid
    three[1].kill()
    code, told = status(database)
    assert (code, states(told)) == (1, ['left', 'ended', 'running'])
    problem, = told['problems']
    assert problem.startswith('replica 2 ') and f'process {pid} ' in problem
    assert 'problem: ' + problem in run(database).stdout
    # With the number of replicas that is wanted, only that number counts.
    assert status(database, '--replicas', '1')[0] == 0
    assert status(database, '--replicas', '2')[1]['problems'] == ['1 replicas run, and 2 are wanted']
    # Another replica of this host takes the place.
    three[1].ensure_started()
    await_true(lambda: is_reported(database, 2), 'the replica does not run again')
    code, told = status(database)
    assert (code, states(told)) == (0, ['left', 'ended', 'running', 'running'])


@on_servers
def test_a_replica_that_hangs_is_silent_until_it_goes_on(replica, database):
    one, other = replica(), replica()
    one.ensure_started()
    other.ensure_started()
    await_true(lambda: is_reported(database, 2), 'a replica does not run')
    other.suspend()
    await_true(lambda: 'silent' in states(status(database)[1]), 'not silent')
    code, told = status(database)
    assert (code, states(told)) == (1, ['running', 'silent'])
    other.resume()
    await_true(lambda: states(status(database)[1]) == ['running', 'left', 'running'], 'not back')
    assert status(database)[0] == 0


@on_servers
def test_what_a_replica_tells_of_itself_is_judged(replica, database):
    one = replica()
    one.ensure_started()
    await_true(lambda: is_reported(database, 1), 'the replica does not run')

    def told_with(report):
        """The status if another replica has beaten just now, with a report."""
        now = "now() AT TIME ZONE 'UTC'" if 'postgres' in database.url else 'UTC_TIMESTAMP(6)'
        database.execute([
            'DELETE FROM allotment_replicas WHERE id = 2',
            'INSERT INTO allotment_replicas (id, token, identity, version, beat, known, has_left, started_at, seen_at, '
            f"report) VALUES (2, 'other', '', '9', 1, 2, 0, {now}, {now}, '{report}')"])
        return status(database)

    assert told_with('{"resource_providers": 0}')[0] == 0
    code, told = told_with('{"resource_providers": 7}')
    assert (code, told['replicas'][1]['agrees']) == (1, False)
    assert told['problems'] == [
        'the picture of replica 2 has 7 resource providers, and the database has another number']
    assert told_with('{"unread_ms": 12000}')[1]['problems'] == [
        'replica 2 does not read the changes of the other replicas']
    assert told_with('{"behind_ms": 12000}')[1]['problems'] == [
        'the picture of replica 2 does not follow the database']
    code, told = told_with('')
    assert (code, states(told)) == (0, ['running', 'starting'])


@on_servers
def test_waiting_requests_and_overdue_tickets_are_told(replica, database):
    one = replica()
    one.ensure_started()
    client = Api(one.url)
    path = f'/resource_providers/{load.make_provider(client)}/waitlist'
    for _ in range(2):
        last = client('POST', path, {'scope': 'host', 'id': 'work', 'lease_seconds': 600})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client, 'GET', f'{path}/{last["uuid"]}?wait=true&timeout=600')
        await_true(lambda: status(database)[1]['waitlist']['waiting'] == 1, 'nobody waits')
        code, told = status(database)
        counts = {**told['waitlist'], 'code': code}
        assert counts == {'code': 0, 'queues': 1, 'active': 1, 'queued': 1, 'longest_queue': 2, 'overdue': 0,
                          'waiting': 1}
        Api(one.url)('DELETE', f'{path}/{last["uuid"]}')
        assert waiting.result()['status'] == 'finished'
    one.stop()
    database.execute(["UPDATE waitlist_tickets SET expires_at = 1000 WHERE status = 'active'"])
    assert status(database)[1]['problems'] == [
        'no replica runs', '1 tickets should have expired more than ten seconds ago']


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_a_file_is_told_beside_the_service_that_has_it(serve, database):
    # There is no file yet, and none is made.
    done = run(database, '--json')
    assert (done.returncode, done.stdout) == (2, '') and 'cannot connect to the database' in done.stderr
    assert not database.path.exists()
    server = serve(drivers.AllotmentServer)
    load.make_provider(Api(server.url))
    code, told = status(database)
    assert (code, told['database']['served'], told['fleet']['resource_providers']) == (0, True, 1)
    assert (told['feed'], told['replicas'], told['waitlist']['waiting']) == (None, [], None)
    server.stop()
    before = hashlib.sha256(database.path.read_bytes()).hexdigest()
    code, told = status(database)
    assert (code, told['problems']) == (1, ['no service runs on the SQLite file'])
    assert hashlib.sha256(database.path.read_bytes()).hexdigest() == before
    # The look keeps no service from starting.
    server.ensure_started()
    assert status(database)[0] == 0


def empty(database):
    """Makes the database an empty one that can be asked."""
    if database.url.startswith('sqlite'):
        database.execute(['CREATE TABLE of_others (id INTEGER)'])


@on_all
def test_a_schema_that_is_not_up_to_date_is_told_and_not_touched(serve, database):
    empty(database)
    code, told = status(database)
    assert (code, told['schema']['revision'], told['fleet']) == (1, None, None)
    assert told['problems'][0] == 'the database has no schema: "allotment migrate" creates it'

    # Upstream's own schema.
    server = serve(drivers.UpstreamServer)
    Api(server.url)('POST', '/resource_providers', {'name': 'host', 'uuid': hosts.new_uuid()})
    server.stop()
    code, told = status(database)
    assert (code, told['schema']['up_to_date'], told['waitlist']) == (1, False, None)
    assert told['fleet']['resource_providers'] == 1
    assert len(told['schema']['pending_migrations']) >= 5
    assert 'migrations are pending' in told['problems'][0]

    # The schema of the release before the change feed.
    done = subprocess.run([drivers.binary(), 'migrate', '--database', database.url], env=drivers.environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    versions = ', '.join(f"'{name[:17].replace('-', '')}'" for name in OF_FEED)
    tables = [f'DROP TABLE allotment_{name}' for name in ('changes', 'replicas', 'marks', 'watches')]
    database.execute([*tables, f'DELETE FROM __diesel_schema_migrations WHERE version IN ({versions})'])
    code, told = status(database)
    assert (code, told['schema']['pending_migrations'], told['feed']) == (1, OF_FEED, None)
    assert told['waitlist']['queues'] == 0

    # Another release of Placement.
    database.execute(["UPDATE alembic_version SET version_num = '611cd6dffd7b'"])
    code, told = status(database)
    assert (code, told['schema']['revision'], told['fleet']) == (1, '611cd6dffd7b', None)
    assert '611cd6dffd7b' in told['problems'][0]


@on_servers
def test_a_user_who_may_only_read_is_enough(replica, database):
    one = replica()
    one.ensure_started()
    await_true(lambda: is_reported(database, 1), 'the replica does not run')
    user = f'reader_{one.port}'
    if 'postgres' in database.url:
        make = [f'CREATE USER {user}', f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}']
        drop = [f'DROP OWNED BY {user}', f'DROP USER {user}']
    else:
        make = [f"CREATE USER '{user}'@'%'", f"GRANT SELECT ON {database.name}.* TO '{user}'@'%'"]
        drop = [f"DROP USER '{user}'@'%'"]
    database.execute(make)
    try:
        parts = urllib.parse.urlsplit(database.url)
        url = parts._replace(netloc=f'{user}@{parts.hostname}:{parts.port}').geturl()
        before = database.query('SELECT id, token FROM allotment_replicas')
        assert status(database, url=url)[0] == 0
        assert database.query('SELECT id, token FROM allotment_replicas') == before
    finally:
        database.execute(drop)


@pytest.mark.parametrize('url', ['postgres://nobody:hush@127.0.0.1:1/none', 'mysql://nobody:hush@127.0.0.1:1/none'])
def test_a_database_that_cannot_be_reached_is_a_code_of_its_own(url):
    done = run(None, '--json', url=url)
    assert (done.returncode, done.stdout) == (2, '')
    assert 'cannot connect to the database' in done.stderr and 'hush' not in done.stderr
    assert run(None, '--nonsense', url=url).returncode == 2
