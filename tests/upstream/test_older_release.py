"""A database of an older release is refused, and taken over after the statements that docs/migrating.md shows."""

import pathlib
import re
import subprocess
import sys

import drivers
import pytest

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'migrating.md'
# The revision of Placement 6.0.0 to 9.0.0, and that of 10.0.0 and newer.
OLDER, NEWER = '422ece571366', 'a082b8bb98d0'

# This program does the same as `placement-manage db sync` of an older release.
SYNC = '''
import sys
from oslo_config import cfg
from placement import conf, db_api
from placement.db.sqlalchemy import migration
config = cfg.ConfigOpts()
conf.register_opts(config)
config(['--config-file', sys.argv[1]], project='placement')
db_api.configure(config)
migration.upgrade(sys.argv[2])
'''


def statements(kind):
    """The document's statements for a kind of database."""
    servers, mariadb = re.findall(r'```sql\n(.*?)```', DOCUMENT.read_text(), re.DOTALL)
    shown = mariadb if kind == 'mysql' else servers
    return [statement.strip() for statement in shown.split(';') if statement.strip()]


def migrate(database):
    return subprocess.run([drivers.binary(), 'migrate', '--database', database.url], env=drivers.environment(),
                          capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize('database, kind', [(kind, kind) for kind in ('sqlite', 'postgres', 'mysql')],
                         indirect=['database'], ids=['sqlite', 'postgres', 'mysql'])
def test_the_documented_step(driver, tmp_path, database, kind):
    if driver is drivers.UpstreamServer:
        pytest.skip('upstream has statements of its own for this step')
    upstream = drivers.UpstreamServer(tmp_path, 0, database)
    upstream.write_config(policy_file=None)
    configuration = str(upstream.workdir / 'placement.conf')
    subprocess.run([sys.executable, '-c', SYNC, configuration, OLDER], check=True, timeout=300)
    revision = 'SELECT version_num FROM alembic_version'
    assert database.query(revision) == [(OLDER,)]

    refused = migrate(database)
    assert refused.returncode == 1 and OLDER in refused.stderr, refused
    assert database.query(revision) == [(OLDER,)]

    database.execute(statements(kind))
    taken = migrate(database)
    assert taken.returncode == 0, taken
    assert database.query(revision) == [(NEWER,)]
