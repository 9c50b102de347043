"""Health and metrics, on the service's address or on one of their own."""

import concurrent.futures
import pathlib
import shutil
import sys
import tempfile

import databases
import drivers
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service import await_true

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / 'servers'))
import servers  # noqa: E402 (its directory is not on the path before)

on_sqlite = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


def get(url, path, **headers):
    return httpx.get(url + path, headers=headers, trust_env=False, timeout=60)


def metrics(url):
    """The samples: name and labels, as Prometheus' own client reads them."""
    answer = get(url, '/metrics')
    assert answer.status_code == 200
    assert answer.headers['content-type'].startswith('text/plain; version=0.0.4')
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {(sample.name, frozenset(sample.labels.items())): sample.value
            for family in families for sample in family.samples}, answer.text


def sample(url, name, **labels):
    return metrics(url)[0].get((f'allotment_{name}', frozenset(labels.items())), 0)


@on_sqlite
def test_health_needs_no_token_but_all_else_does(service):
    url = service().url
    for path in ('/healthcheck', '/healthcheck?ready'):
        answer = get(url, path)
        assert (answer.status_code, answer.text) == (200, 'OK\n')
        assert httpx.head(url + path, trust_env=False).status_code == 200
        assert httpx.post(url + path, trust_env=False).status_code == 405
    assert get(url, '/metrics').status_code == 200
    assert get(url, '/resource_providers').status_code == 401


@on_sqlite
def test_an_address_of_their_own(service):
    port = next(drivers.PORTS)
    server = service(admin={'listen': f'127.0.0.1:{port}'})
    own = f'http://127.0.0.1:{port}'
    for path in ('/healthcheck', '/healthcheck?ready', '/metrics'):
        assert get(own, path).status_code == 200
        # As any path that there is not.
        assert get(server.url, path).status_code == 401
        assert get(server.url, path, **{'x-auth-token': 'admin'}).status_code == 404
    for path in ('/', '/resource_providers', '/traits', '/metrics/x'):
        assert get(own, path, **{'x-auth-token': 'admin'}).status_code == 404


@on_sqlite
def test_requests_are_counted_by_route(service):
    url = service().url
    client = httpx.Client(base_url=url, trust_env=False, headers={
        'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'})
    uuids = [f'5b1ed0a4-6a5c-4a2b-8f43-4f0a8f8d1a{number:02}' for number in range(5)]
    for number, uuid in enumerate(uuids):
        body = {'name': f'secret-name-{number}', 'uuid': uuid}
        assert client.post('/resource_providers', json=body).status_code == 200
        assert client.get(f'/resource_providers/{uuid}').status_code == 200
    for _ in range(3):
        assert client.get('/resource_providers/nobody').status_code == 404
        assert client.get('/no/such/path').status_code == 404
        assert client.request('BREW', '/traits').status_code == 405
        assert get(url, '/traits').status_code == 401
    # A stale generation, and a claim for more than there is.
    inventory = f'/resource_providers/{uuids[0]}/inventories'
    body = {'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': 4}}}
    assert client.put(inventory, json=body).status_code == 200
    assert client.put(inventory, json=body).status_code == 409
    for amount, consumer, expected in [(3, 'a', 204), (3, 'b', 409)]:
        claim = {'allocations': {uuids[0]: {'resources': {'VCPU': amount}}}, 'project_id': 'secret-project',
                 'user_id': 'secret-user', 'consumer_generation': None, 'consumer_type': 'INSTANCE'}
        path = f'/allocations/5b1ed0a4-6a5c-4a2b-8f43-4f0a8f8d1aa{consumer}'
        assert client.put(path, json=claim).status_code == expected
    assert client.put(path[:-1] + 'a', json=claim).status_code == 409
    found = client.get('/allocation_candidates?resources=VCPU:1').json()
    assert len(found['allocation_requests']) == 1

    samples, text = metrics(url)
    of = lambda name, **labels: samples.get((f'allotment_{name}', frozenset(labels.items())))
    requests = lambda route, method, status: of(
        'http_requests_total', route=route, method=method, status=str(status))
    assert requests('/resource_providers', 'POST', 200) == 5
    assert requests('/resource_providers/{uuid}', 'GET', 200) == 5
    assert requests('/resource_providers/{uuid}', 'GET', 404) == 3
    assert requests('none', 'GET', 404) == 3
    assert requests('none', 'other', 405) == 3
    assert requests('/traits', 'GET', 401) == 3
    assert of('http_request_duration_seconds_count', route='/resource_providers/{uuid}', method='GET') == 8
    assert of('http_request_duration_seconds_bucket', route='/resource_providers/{uuid}', method='GET',
              le='+Inf') == 8
    assert of('conflicts_total', entity='resource_provider') == 1
    assert of('conflicts_total', entity='capacity') == 1
    assert of('conflicts_total', entity='consumer') == 1
    assert of('candidates_visited_count') == of('candidates_returned_count') == 1
    assert of('candidates_visited_sum') == of('candidates_returned_sum') == 1
    assert of('fleet_resource_providers') == of('fleet_trees') == 5
    assert of('fleet_refresh_seconds_count') >= 7
    assert 0 <= of('fleet_last_refresh_age_seconds') < 600
    assert of('fleet_last_refresh_duration_seconds') > 0
    assert of('database_connections', state='in_use') == 0
    assert 1 <= of('database_connections', state='idle') <= of('database_connections_max') == 16
    assert of('database_checkout_seconds_count') > 0
    # Nothing of what tenants have is told, nor are there more series for more paths.
    for word in ('secret', '5b1ed0a4', 'nobody', 'such', 'BREW'):
        assert word not in text


def waitlist(url):
    """Queues, active and queued tickets, the longest queue and those who wait, as the metrics have them."""
    samples = metrics(url)[0]
    of = lambda name, **labels: samples.get((f'allotment_waitlist_{name}', frozenset(labels.items())))
    return (of('queues'), of('tickets', status='active'), of('tickets', status='queued'),
            of('longest_queue_tickets'), of('waiters'))


def handed_off(url, woken_by):
    return sample(url, 'waitlist_handoff_seconds_count', woken_by=woken_by)


@pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)
def test_queues_are_measured_whoever_writes(service):
    here, there = (service(waitlist={'recheck_seconds': 1}) for _ in range(2))
    provider = '5b1ed0a4-6a5c-4a2b-8f43-4f0a8f8d1a00'

    def ask(server, method, path, expected, body=None):
        answer = httpx.request(method, server.url + path, json=body, trust_env=False, timeout=120, headers={
            'x-auth-token': 'admin:secret-project', 'openstack-api-version': 'placement 1.39'})
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    ask(here, 'POST', '/resource_providers', 200, {'name': 'secret-name', 'uuid': provider})
    tickets = f'/resource_providers/{provider}/waitlist'

    def take(server, thing):
        body = {'scope': 'secret-scope', 'id': thing, 'lease_seconds': 600}
        return f'{tickets}/{ask(server, "POST", tickets, 201, body)["uuid"]}'

    def wait(server, path, seconds=100):
        return ask(server, 'GET', f'{path}?wait=true&timeout={seconds}', 200)['status']

    def handed_on(server, path, by):
        """The turn of whoever waits for a ticket comes as another is released at a server."""
        before = waitlist(server.url)[4]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(wait, server, path)
            await_true(lambda: waitlist(server.url)[4] == before + 1, 'nobody waits')
            ask(*by, 204)
            assert waiting.result() == 'active'

    def await_lengths(*expected):
        for server in (here, there):
            await_true(lambda: waitlist(server.url) == (*expected, 0), f'not {expected}: {waitlist(server.url)}')

    assert waitlist(here.url) == (0, 0, 0, 0, 0)
    first, second, third = (take(here, 'one') for _ in range(3))
    other = take(there, 'two')
    body = {'tickets': [{'resource_provider_uuid': provider, 'scope': 'secret-scope', 'id': thing}
                        for thing in ('two', 'three')], 'lease_seconds': 600}
    group = f'/waitlist/{ask(there, "POST", "/waitlist", 201, body)["uuid"]}'
    await_lengths(3, 3, 3, 3)

    # A wait that ended before the ticket became active is not counted.
    assert wait(here, second, 1) == 'queued'
    assert handed_off(here.url, 'commit') == handed_off(here.url, 'recheck') == 0
    handed_on(here, second, (here, 'DELETE', first))
    assert (handed_off(here.url, 'commit'), handed_off(here.url, 'recheck')) == (1, 0)
    # Nor has who finds that it is.
    assert wait(here, second) == 'active'
    handed_on(here, third, (there, 'DELETE', second))
    assert (handed_off(here.url, 'commit'), handed_off(here.url, 'recheck')) == (1, 1)
    handed_on(there, group, (there, 'DELETE', other))
    assert (handed_off(there.url, 'commit'), handed_off(there.url, 'recheck')) == (1, 0)
    await_lengths(3, 3, 0, 1)
    take(there, 'one')
    await_lengths(3, 3, 1, 2)
    there.stop()
    there.ensure_started()
    await_lengths(3, 3, 1, 2)
    assert handed_off(there.url, 'commit') == 0
    for server in (here, there):
        text = metrics(server.url)[1]
        assert not any(word in text for word in ('secret', '5b1ed0a4', first[-36:], group[-36:]))


@pytest.fixture
def postgres(monkeypatch):
    """A PostgreSQL server that a test may stop and start."""
    base = tempfile.mkdtemp(prefix='allotment-ready-')
    pathlib.Path(base).chmod(0o755)
    server = servers.PostgreSql(base, detached=False)
    try:
        server.start()
        server.wait_until_ready()
        # The data is there when it is started again.
        server.prepare = lambda: None
        monkeypatch.setenv(*server.assignment())
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


def test_ready_follows_the_database(postgres, tmp_path):
    import service as services
    database = databases.KINDS['postgres']('test_ready', tmp_path)
    database.create()
    server = services.Service(tmp_path, next(drivers.PORTS), database, {})
    try:
        server.ensure_started()
        ready = lambda: get(server.url, '/healthcheck?ready')
        assert ready().status_code == 200
        postgres.stop()
        await_true(lambda: ready().status_code == 503, 'ready without a database')
        assert ready().text == 'the database cannot be reached\n'
        # It lives, and what it says of itself needs no database.
        assert get(server.url, '/healthcheck').status_code == 200
        assert sample(server.url, 'fleet_resource_providers') == 0
        assert waitlist(server.url) == (None, None, None, None, 0)
        answer = get(server.url, '/resource_classes', **{
            'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'})
        assert answer.status_code == 503
        postgres.start()
        postgres.wait_until_ready()
        await_true(lambda: ready().status_code == 200, 'not ready again')
        database.query('SELECT 1')
        # Somebody takes the schema away.
        import psycopg2
        connection = psycopg2.connect(database.url.replace('postgres:', 'postgresql:'))
        connection.autocommit = True
        connection.cursor().execute('DELETE FROM __diesel_schema_migrations')
        connection.close()
        await_true(lambda: ready().status_code == 503, 'ready without a schema')
        assert 'migrations of the database are pending' in ready().text
        server.await_log('not ready: the database cannot be reached')
        server.await_log('ready again')
    finally:
        server.stop()
