"""PostgreSQL behind a pooler of transactions."""

import concurrent.futures
import contextlib
import itertools

import drivers
import psycopg2
import pytest
import service as services
from api import Api
from machines import PgBouncer, made

NUMBERS = itertools.count()


@pytest.fixture
def pooled(postgresql):
    """The URL of a new database behind pgbouncer."""
    name = f'test_pooled_{next(NUMBERS)}'
    with contextlib.closing(psycopg2.connect(host='127.0.0.1', port=postgresql.port, user='postgres')) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'CREATE DATABASE {name}')
    with made(PgBouncer) as pooler:
        pooler.postgresql = postgresql
        pooler.start()
        pooler.wait_until_ready()
        yield f'postgres://postgres@127.0.0.1:{pooler.port}/{name}'


class Pooled:
    def __init__(self, url):
        self.url = url


@pytest.fixture
def start(tmp_path, pooled):
    """Returns a function that starts a service; several are replicas."""
    started = []

    def run(**settings):
        directory = tmp_path / f'service{len(started)}'
        directory.mkdir()
        tables = {'database': settings, 'placement': {'recheck_seconds': 1}}
        started.append(services.Service(directory, next(drivers.PORTS), Pooled(pooled), tables))
        started[-1].ensure_started()
        return started[-1]

    yield run
    for each in started:
        each.stop()


def use(api, number):
    """Goes through what a client does with a provider."""
    provider = api('POST', '/resource_providers', {'name': f'p{number}'})['uuid']
    path = f'/resource_providers/{provider}'
    api('PUT', f'{path}/inventories', {
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': 4}}})
    api('PUT', f'{path}/traits', {'resource_provider_generation': 1, 'traits': ['HW_CPU_X86_VMX']})
    for index in range(4):
        consumer = f'{provider[:-4]}{index:04x}'
        api('PUT', f'/allocations/{consumer}', {
            'allocations': {provider: {'resources': {'VCPU': 1}}}, 'consumer_generation': None,
            'project_id': 'p', 'user_id': 'u', 'consumer_type': 'INSTANCE'})
    assert api('GET', f'{path}/usages')['usages'] == {'VCPU': 4}
    assert len(api('GET', f'{path}/traits')['traits']) == 1
    api('DELETE', f'/allocations/{consumer}')
    assert api('GET', f'{path}/usages')['usages'] == {'VCPU': 3}


def count_providers(replica):
    return len(Api(replica.url)('GET', '/resource_providers')['resource_providers'])


def test_replicas_work_behind_a_pooler_of_transactions(start):
    replicas = [start(prepared_statements=False) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(use, Api(replicas[number % 2].url), number) for number in range(40)]
        for each in done:
            each.result()
    for replica in replicas:
        log = replica.log()
        assert 'prepared statement' not in log, log
        # A replica finds what another one has written when it looks for that the next time.
        services.await_true(lambda: count_providers(replica) == 40, 'not all providers are seen')
