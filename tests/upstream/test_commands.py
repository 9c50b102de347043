"""placement-manage, placement-status and placement-api are commands of this program, with upstream's output."""

import json
import pathlib
import re
import signal
import subprocess
import sys

import drivers
import httpx
import pytest

KINDS = ['sqlite', 'postgres', 'mysql']
UUID = '11111111-2222-4333-8444-{:012}'

pytestmark = pytest.mark.parametrize('database', KINDS, indirect=True)


class Commands:
    """The commands of both services, with one configuration file."""

    def __init__(self, directory, database):
        self.directory = directory
        self.server = drivers.UpstreamServer(directory, 0, database)
        self.write()
        self.programs = directory / 'programs'
        self.programs.mkdir()
        for name in ('placement-manage', 'placement-status', 'placement-api'):
            (self.programs / name).symlink_to(drivers.binary())

    def write(self, **options):
        for section, values in options.items():
            self.server.configure(section, **values)
        self.server.write_config(policy_file=None)

    def arguments(self, name, *arguments):
        return [name, '--config-file', self.directory / 'placement.conf', *arguments]

    def run(self, program, *arguments):
        done = subprocess.run(self.arguments(program, *arguments), capture_output=True, text=True, timeout=300,
                              env=drivers.environment(), stdin=subprocess.DEVNULL, cwd=self.directory)
        return done.returncode, done.stdout, done.stderr

    def ours(self, name, *arguments):
        return self.run(self.programs / name, *arguments)

    def theirs(self, name, *arguments):
        return self.run(pathlib.Path(sys.executable).with_name(name), *arguments)


@pytest.fixture
def commands(tmp_path, database):
    return Commands(tmp_path, database)


def test_the_schema_is_made_and_told(commands, database):
    assert commands.ours('placement-manage', 'db', 'version')[:2] == (0, 'None\n')
    assert commands.ours('placement-manage', 'db', 'sync')[:2] == (0, '')
    for side in (commands.ours, commands.theirs):
        assert side('placement-manage', 'db', 'version')[:2] == (0, 'a082b8bb98d0\n')
    assert commands.ours('placement-manage', 'db', 'sync')[0] == 0
    assert commands.theirs('placement-manage', 'db', 'sync')[0] == 0
    # Upstream's commands find nothing to complain about.
    assert commands.theirs('placement-status', 'upgrade', 'check')[0] == 0


def test_a_revision_can_be_stamped(commands, database):
    assert commands.ours('placement-manage', 'db', 'stamp', '422ece571366')[:2] == (0, '')
    assert commands.theirs('placement-manage', 'db', 'version')[:2] == (0, '422ece571366\n')
    code, _, told = commands.ours('placement-manage', 'db', 'sync')
    assert code == 1 and '422ece571366' in told
    for wrong in ('nonsense', ''):
        code, _, told = commands.ours('placement-manage', 'db', 'stamp', wrong)
        assert code == 1 and "can't locate revision" in told
        assert commands.theirs('placement-manage', 'db', 'stamp', wrong or 'nonsense')[0] == 1
    for given, stamped in [('head', 'a082b8bb98d0'), ('b5c', 'b5c396305c25'), ('base', 'None')]:
        assert commands.ours('placement-manage', 'db', 'stamp', given)[0] == 0
        assert commands.theirs('placement-manage', 'db', 'version')[1] == f'{stamped}\n'


def leave_incomplete(database, consumers, providers):
    """Rows as old releases left them: allocations without a consumer, and providers without a root."""
    database.execute([
        'DELETE FROM allocations', 'DELETE FROM consumers', 'UPDATE resource_providers SET root_provider_id = NULL',
        'DELETE FROM resource_providers',
        *(f"INSERT INTO resource_providers (id, uuid, name, generation) VALUES ({n}, '{UUID.format(n)}', 'p{n}', 0)"
          for n in range(1, providers + 1)),
        *(f"INSERT INTO allocations (id, resource_provider_id, consumer_id, resource_class_id, used) "
          f"VALUES ({n * 2 + i}, 1, '{UUID.format(n)}', {i}, 1)" for n in range(1, consumers + 1) for i in range(2)),
    ])


MIGRATIONS = ['placement-manage', 'db', 'online_data_migrations']


def test_incomplete_rows_are_completed_as_upstream_does_it(commands, database):
    commands.write(placement={'incomplete_consumer_project_id': 'no project'})
    assert commands.ours('placement-manage', 'db', 'sync')[0] == 0
    steps = [[], ['--max-count', '3'], ['--max-count', '2'], ['--max-count', '60'], [], ['--max-count', '5'],
             ['--max-count', '0'], ['--max-count=-1'], ['--max-count', 'x'], ['--max-count', '']]
    seen = []
    for side in (commands.ours, commands.theirs):
        leave_incomplete(database, 57, 4)
        answers = []
        for step in steps[1:] + steps[:1]:
            code, output, _ = side(*MIGRATIONS, *step)
            answers.append((step, code, output))
        rows = database.query(
            'SELECT c.uuid, p.external_id, u.external_id, c.generation FROM consumers c JOIN projects p '
            'ON p.id = c.project_id JOIN users u ON u.id = c.user_id ORDER BY c.uuid')
        roots = database.query('SELECT id, root_provider_id FROM resource_providers ORDER BY id')
        seen.append((answers, [tuple(row) for row in rows], [tuple(row) for row in roots]))
    ours, theirs = seen
    for mine, other in zip(ours[0], theirs[0]):
        assert mine == other
    assert ours == theirs
    assert len(ours[1]) == 57 and ours[1][0][1] == 'no project'
    assert [code for _, code, _ in ours[0]] == [1, 1, 1, 0, 0, 127, 127, 127, 127, 0]


def test_the_checks_of_upstream_and_ours(commands, database):
    check = ('placement-status', 'upgrade', 'check')
    code, output, _ = commands.ours(*check)
    assert code == 2 and 'placement-manage db sync' in ' '.join(output.split())
    assert commands.ours('placement-manage', 'db', 'sync')[0] == 0

    def results(side):
        code, output, _ = side(*check)
        assert re.match(r'\+-+\+\n\| Upgrade Check Results +\|\n\+-+\+\n', output)
        found = re.findall(r'\| Check: (.+?) +\|\n\| Result: (\w+) +\|\n\| Details: ', output)
        return code, {name: ['Success', 'Warning', 'Failure'].index(result) for name, result in found}

    policy = commands.directory / 'no-policy.yaml'
    states = [
        (lambda: None, 0, [0, 0, 0]),
        (lambda: leave_incomplete(database, 2, 1), 2, [2, 1, 0]),
        (lambda: commands.ours('placement-manage', 'db', 'online_data_migrations'), 0, [0, 0, 0]),
        (lambda: policy.write_text('{"placement:traits:list": "@"}'), 2, [0, 0, 2]),
        (lambda: policy.write_text('"placement:traits:list": "@"\n'), 0, [0, 0, 0]),
    ]
    for change, worst, expected in states:
        change()
        (code, ours), (their_code, theirs) = results(commands.ours), results(commands.theirs)
        assert [ours[name] for name in theirs] == list(theirs.values()) == expected
        assert code == their_code == worst
        assert list(ours)[:3] == list(theirs)
    # Placement's own command takes --json and prints the table nevertheless.
    code, output, _ = commands.ours(*check, '--json')
    found = json.loads(output)
    assert code == 0 and found['name'] == 'Upgrade Check Results'
    assert {row['check']: row['result'] for row in found['checks']} == ours
    assert all(row['details'] is None for row in found['checks'])
    # A policy file that Placement would refuse at each request is a failure of ours.
    policy.write_text('"placement:traits:list": role\n')
    code, ours = results(commands.ours)
    assert code == 2 and ours['Policy File Rules'] == 2


def test_nothing_can_be_checked_without_a_database(commands, database):
    commands.server.database = type('Gone', (), {'sqlalchemy_url': 'sqlite:////nonexistent/x.db'})
    commands.write()
    for side in (commands.ours, commands.theirs):
        assert side('placement-status', 'upgrade', 'check')[0] == 255
        assert side('placement-manage', 'db', 'version')[0] == 1
        assert side('placement-manage', 'db', 'sync')[0] == 1


def test_the_api_serves(commands, database):
    port = next(drivers.PORTS)

    class Api(drivers.UpstreamServer):
        def command(self):
            return commands.arguments(commands.programs / 'placement-api', '--host', '127.0.0.1', '--port', str(port))

    server = Api(commands.directory, port, database)
    try:
        server.ensure_started()
        assert httpx.get(server.url + '/', trust_env=False).json()['versions'][0]['max_version'] == '1.39'
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    finally:
        server.stop()


def test_the_file_is_found_where_upstream_finds_it(commands, database, tmp_path):
    home = tmp_path / 'home'
    (home / '.placement').mkdir(parents=True)
    (home / '.placement' / 'placement.conf').write_bytes((tmp_path / 'placement.conf').read_bytes())
    for name in (commands.programs / 'placement-manage', pathlib.Path(sys.executable).with_name('placement-manage')):
        done = subprocess.run([name, 'db', 'version'], capture_output=True, text=True, timeout=120,
                              env={**drivers.environment(), 'HOME': str(home)})
        assert (done.returncode, done.stdout) == (0, 'None\n'), done
    for arguments in ([], ['db'], ['db', 'nonsense']):
        assert commands.ours('placement-manage', *arguments)[0] != 0


def test_the_database_alone_is_enough(commands, database, tmp_path):
    """As with upstream, a command that asks no Keystone needs no settings of Keystone, though it is the default."""
    path = tmp_path / 'placement.conf'
    path.write_text(f'[placement_database]\nconnection = {database.sqlalchemy_url}\n')
    assert commands.ours('placement-manage', 'db', 'sync')[0] == 0
    for side in (commands.ours, commands.theirs):
        assert side('placement-status', 'upgrade', 'check')[0] == 0
    # No service runs, so status finds a problem.
    for expected, *command in ((0, 'migrate'), (0, 'migrate', '--check'), (1, 'status'), (0, 'policy', 'list')):
        done = subprocess.run([drivers.binary(), *command, '--placement-conf', path], capture_output=True, text=True,
                              timeout=300, env=drivers.environment())
        assert done.returncode == expected, done
    # The rules in force are those that a service with Keystone has.
    assert '"placement:reshaper:reshape": "rule:service_api"' in done.stdout
    code, _, told = commands.ours('placement-api')
    assert code == 2 and 'auth.keystone.auth_url: is needed' in told
