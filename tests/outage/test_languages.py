"""The errors of a server are understood although the server speaks another language."""

import concurrent.futures
import contextlib
import uuid

import api
import load
import pytest

WAITING = {
    'postgres': "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted",
    'mysql': "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"}


@pytest.fixture(autouse=True)
def spanish(database, kind):
    """Has the server speak Spanish. PostgreSQL speaks only languages of its host, of which there may be none."""
    if kind != 'mysql':
        yield
        return
    before = database.query('SELECT @@global.lc_messages')[0][0]
    with contextlib.closing(database._connect()) as connection:
        connection.cursor().execute("SET GLOBAL lc_messages = 'es_ES'")
        yield
        connection.cursor().execute(f"SET GLOBAL lc_messages = '{before}'")


@contextlib.contextmanager
def locked(database, provider):
    """Keeps the row of a provider from everybody else."""
    with contextlib.closing(database._connect()) as connection:
        connection.cursor().execute(
            f"SELECT id FROM resource_providers WHERE uuid = '{provider}' FOR UPDATE")
        yield
        connection.rollback()


def claim(client, provider):
    return client.send('PUT', f'/allocations/{uuid.uuid4()}', load.claim_body({provider: 1}))


def test_a_statement_that_takes_too_long_is_a_503(serve, database):
    client = api.Api(serve(database={'statement_seconds': 1}).url)
    provider = load.make_provider(client)
    with locked(database, provider):
        answer = claim(client, provider)
    assert (answer.status_code, answer.headers.get('retry-after')) == (503, '1'), answer.text


def test_a_claim_whose_connection_is_killed_runs_again(serve, database, kind):
    client = api.Api(serve().url)
    provider = load.make_provider(client)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with locked(database, provider):
            waiting = pool.submit(claim, client, provider)
            load.await_shown(lambda: database.query(load.LOCK_WAITS[kind])[0][0] > 0, True)
            found = database.query(WAITING[kind])
            if kind == 'mysql':
                with contextlib.closing(database._connect()) as connection:
                    connection.cursor().execute(f'KILL {found[0][0]}')
            load.await_shown(lambda: database.query(load.LOCK_WAITS[kind])[0][0] > 0, True)
        assert waiting.result().status_code == 204, waiting.result().text
