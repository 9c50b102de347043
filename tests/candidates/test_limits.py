"""A search that would run away is refused, and says which way out there is."""

import api
import drivers
import pytest
import worlds

GROUPS = '&'.join(f'resources{number}=VCPU:1' for number in range(1, 7))
QUERY = f'/allocation_candidates?{GROUPS}&group_policy=none'


@pytest.fixture
def server(driver, database, tmp_path):
    """A server with small limits and a host of 8 children of 6 units."""
    if driver is drivers.UpstreamServer:
        pytest.skip('upstream has no such limits')
    started = driver(tmp_path, next(drivers.PORTS), database)
    started.configure('limits', candidate_visits=100_000,
                      candidate_bytes=1 << 20)
    started.configure('oslo_policy', enforce_new_defaults=False)
    started.ensure_started()
    client = api.Api(started.url)
    root = worlds.Provider('root')
    children = [worlds.Provider(f'child-{n}', root) for n in range(8)]
    for child in children:
        child.inventories = {'VCPU': dict(total=6)}
    for provider in [root, *children]:
        client('POST', '/resource_providers', {
            'name': provider.name, 'uuid': provider.uuid,
            'parent_provider_uuid':
                provider.parent and provider.parent.uuid})
        worlds.write_parts(client, provider)
    yield client
    started.stop()


on_sqlite = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


def refusal(server, path):
    response = server.send('GET', path)
    assert response.status_code == 400, response.text
    (error,) = response.json()['errors']
    return error['detail']


@on_sqlite
def test_too_many_combinations(server):
    """262,144 combinations are more than may be tried; a limit is a way out."""
    assert 'after trying 100000 combinations' in refusal(server, QUERY)
    answer = server('GET', QUERY + '&limit=1000')
    assert len(answer['allocation_requests']) == 1000


@on_sqlite
def test_too_long_an_answer(server):
    """4,096 combinations may be tried, but take more than a megabyte."""
    query = QUERY.split('&resources5')[0] + '&group_policy=none'
    assert 'larger than 1048576 bytes' in refusal(server, query)
    answer = server('GET', query + '&limit=100')
    assert len(answer['allocation_requests']) == 100


@on_sqlite
def test_what_fits_in_no_way_is_no_error(server):
    """Nine groups of 4 in eight children of 6: none, and soon told."""
    groups = '&'.join(f'resources{number}=VCPU:4' for number in range(1, 10))
    answer = server('GET',
                    f'/allocation_candidates?{groups}&group_policy=none')
    assert answer == {'allocation_requests': [], 'provider_summaries': {}}
