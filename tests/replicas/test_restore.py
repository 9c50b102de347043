"""A backup of the database is restored: with the replicas stopped, as docs/operating.md says, and under running ones."""

import subprocess

import hosts
import httpx
import load
import pytest
import servers
from api import Api
from service import await_true

pytestmark = pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)
# One comparison of the picture with the database, and some time for it on a busy machine.
PATIENCE = 90


def tools(database):
    """The commands that make a backup and restore it."""
    if 'postgres' in database.url:
        return ([servers.find_program('pg_dump'), '--clean', '--if-exists', '-d', database.url],
                [servers.find_program('psql'), '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', database.url])
    login = ['--no-defaults', '--protocol=tcp', f'-h{database.server.hostname}', f'-P{database.server.port}',
             f'-u{database.server.username}']
    return ([servers.find_program('mariadb-dump'), *login, '--single-transaction', database.name],
            [servers.find_program('mariadb'), *login, database.name])


def back_up(database):
    return subprocess.run(tools(database)[0], stdout=subprocess.PIPE, check=True).stdout


def restore(database, backup):
    subprocess.run(tools(database)[1], input=backup, stdout=subprocess.DEVNULL, check=True)


def is_ready(replica):
    return httpx.get(replica.url + '/healthcheck?ready', timeout=60, trust_env=False).status_code == 200


def start(replica, count, **tables):
    made = [replica(**tables) for _ in range(count)]
    for each in made:
        each.ensure_started()
    return made


def work(url, count):
    """Makes providers with a claim each; gives them."""
    client, made = Api(url), []
    for number in range(count):
        made.append(load.make_provider(client))
        client('PUT', f'/allocations/{hosts.new_uuid()}', load.claim_body({made[-1]: number + 1}))
    return made


def test_replicas_that_were_stopped_start_with_what_was_restored(replica, database):
    made = start(replica, 2)
    kept = work(made[0].url, 3)
    backup = back_up(database)
    lost = work(made[1].url, 3)
    # The backup has the rows of replicas that run.
    for each in made:
        each.stop()
    restore(database, backup)
    for each in made:
        each.ensure_started()
    for each in made:
        await_true(lambda: is_ready(each), 'not ready')
        shown = load.pictured(Api(each.url))
        assert shown.keys() == set(kept) and shown == load.stored(database)
    # New rows may have the row ids of those that were lost. Each replica shows the writes of the other one at once.
    for writer, reader in (made, made[::-1]):
        work(writer.url, 4)
        assert load.pictured(Api(reader.url)) == load.stored(database)
    assert not set(lost) & load.stored(database).keys()


def test_the_pictures_of_running_replicas_follow_a_restore(replica, database):
    """An operator who forgot to stop the replicas has right searches again after one comparison."""
    made = start(replica, 2, placement={'recheck_seconds': 5})
    work(made[0].url, 3)
    backup = back_up(database)
    for each in made:
        work(each.url, 3)
    restore(database, backup)
    for each in made:
        load.await_picture(Api(each.url), database, PATIENCE)
    # The feed goes on: what one of them writes the other shows at once.
    for writer, reader in (made, made[::-1]):
        await_true(lambda: is_ready(writer) and is_ready(reader), 'not ready')
        work(writer.url, 4)
        load.await_picture(Api(writer.url), database, PATIENCE)
        assert load.pictured(Api(reader.url)) == load.stored(database)
