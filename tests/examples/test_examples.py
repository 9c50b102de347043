"""The examples do what they promise, many at once and in every language."""

import json
import uuid

import api
import drivers
import programs
import pytest

LANGUAGES = list(programs.ENDINGS)
EACH = pytest.mark.parametrize('language', LANGUAGES)
SQLITE = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


@pytest.fixture
def client(serve):
    return api.Api(serve(drivers.AllotmentServer).url)


@pytest.fixture
def url(client):
    return str(client.client.base_url).rstrip('/')


def provider(client, **inventory):
    made = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': made, 'uuid': made})
    if inventory:
        client('PUT', f'/resource_providers/{made}/inventories', {
            'resource_provider_generation': 0,
            'inventories': {name: {'total': total} for name, total in inventory.items()}})
    return made


def test_every_example_is_there_in_every_language():
    there = {path.name for path in programs.EXAMPLES.iterdir() if path.is_file()}
    shared = {'README.md', 'placement.sh'}
    names = {path.stem for path in programs.EXAMPLES.glob('*.rs')}
    assert there - shared == {name + ending for name in names for ending in programs.ENDINGS.values()}
    readme = (programs.EXAMPLES / 'README.md').read_text()
    assert all(f'`{name}`' in readme for name in names)


@SQLITE
@EACH
def test_a_trait_is_ensured(client, url, language):
    made = provider(client)
    for said in ('added\n', 'was there\n'):
        done = programs.run(url, 'ensure_trait', language, made, 'CUSTOM_X')
        assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert client('GET', f'/resource_providers/{made}/traits')['traits'] == ['CUSTOM_X']
    missing = programs.run(url, 'ensure_trait', language, str(uuid.uuid4()), 'CUSTOM_X')
    assert missing.returncode != 0 and '404' in missing.stderr + missing.stdout


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_no_trait_is_lost_among_all_languages(client, url):
    made = provider(client)
    calls = [(language, made, f'CUSTOM_{language.upper()}_{number}')
             for language in LANGUAGES for number in range(3)]
    for done in programs.run_all(url, 'ensure_trait', calls):
        assert (done.returncode, done.stdout) == (0, 'added\n'), done.stderr
    found = client('GET', f'/resource_providers/{made}/traits')
    assert sorted(found['traits']) == sorted(call[2] for call in calls)
    assert found['resource_provider_generation'] == len(calls)


@SQLITE
@EACH
def test_a_workload_is_scheduled(client, url, language):
    made = provider(client, VCPU=2, MEMORY_MB=1024)
    consumer = str(uuid.uuid4())
    expected = {'VCPU': 2, 'MEMORY_MB': 512}
    # Twice, as after a first run whose end nobody saw.
    for _ in range(2):
        done = programs.run(url, 'schedule', language, consumer, 'VCPU:2,MEMORY_MB:512')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[made]['resources'] == expected
    assert client('GET', f'/allocations/{consumer}')['allocations'][made]['resources'] == expected
    full = programs.run(url, 'schedule', language, str(uuid.uuid4()), 'VCPU:1')
    assert full.returncode != 0 and 'VCPU:1 fits nowhere' in full.stderr
    unknown = programs.run(url, 'schedule', language, str(uuid.uuid4()), 'CUSTOM_NONE:1')
    assert unknown.returncode != 0 and '400' in unknown.stderr


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_all_get_a_place_while_there_is_one(client, url):
    hosts = [provider(client, VCPU=3) for _ in range(4)]
    calls = [(language, str(uuid.uuid4()), 'VCPU:1') for language in LANGUAGES for _ in range(3)]
    done = programs.run_all(url, 'schedule', calls)
    assert [run.stderr for run in done if run.returncode] == []
    used = [client('GET', f'/resource_providers/{host}/usages')['usages']['VCPU'] for host in hosts]
    assert used == [3] * len(hosts)
