"""Values that are odd yet fit: the databases may not tell them apart, nor fail."""

import uuid

import api
import pytest

DATABASES = ['sqlite', 'postgres', 'mysql']


@pytest.fixture
def client(serve, driver):
    return api.Api(serve(driver).url)


def forms(text):
    """Ways of writing a uuid that Python's check takes."""
    return [text, text.upper(), text.replace('-', ''), f'{{{text}}}', f'urn:uuid:{text}',
            f'urn:uuid:urn:uuid:{text}', '-' * 300 + text]


@pytest.mark.parametrize('database', DATABASES, indirect=True)
def test_uuids_in_any_form(client):
    client('POST', '/resource_providers', {'uuid': str(uuid.uuid4()), 'name': 'parent'})
    for form in forms(str(uuid.uuid4())):
        provider = str(uuid.uuid4())
        client('POST', '/resource_providers', {'uuid': provider, 'name': provider})
        aggregates = {'aggregates': [form], 'resource_provider_generation': 0}
        answers = [
            client.send('PUT', f'/resource_providers/{provider}/aggregates', aggregates),
            client.send('PUT', f'/resource_providers/{provider}/aggregates', [form], '1.1'),
            client.send('GET', f'/resource_providers?member_of={form}'),
            client.send('POST', '/resource_providers', {
                'name': str(uuid.uuid4()), 'parent_provider_uuid': form}),
            client.send('PUT', f'/allocations/{form}', {
                'allocations': {}, 'project_id': 'p', 'user_id': 'u',
                'consumer_type': 'T', 'consumer_generation': None})]
        assert [answer.status_code for answer in answers if answer.status_code >= 500] == [], form
        # A value that does not fit into a column is refused, not cut.
        assert answers[0].status_code == (200 if len(form) <= 36 else 400), form
        if len(form) <= 36:
            assert answers[0].json()['aggregates'] == [form]


@pytest.mark.parametrize('database', DATABASES, indirect=True)
def test_texts_at_their_limits(client):
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'uuid': provider, 'name': 'N' * 200})
    client('PUT', f'/resource_providers/{provider}/inventories', {
        'inventories': {'VCPU': {'total': 2147483647, 'allocation_ratio': 3.40282e+38}},
        'resource_provider_generation': 0})
    for text in ('\u00c4' * 255, '\U0001f600' * 255, "a'\"\\%_" * 42):
        body = {'allocations': {provider: {'resources': {'VCPU': 1}}}, 'project_id': text,
                'user_id': text, 'consumer_type': 'T' * 255, 'consumer_generation': None}
        consumer = f'/allocations/{uuid.uuid4()}'
        client('PUT', consumer, body)
        assert client('GET', consumer)['project_id'] == text
        client('PUT', f'/resource_providers/{provider}', {'name': text[:200]})
        assert client('GET', f'/resource_providers/{provider}')['name'] == text[:200]
    for name in ('A' * 248,):
        client('PUT', f'/traits/CUSTOM_{name}')
        client('PUT', f'/resource_classes/CUSTOM_{name}')
        assert client.send('PUT', f'/traits/CUSTOM_{name}A').status_code == 400


@pytest.mark.parametrize('database', DATABASES, indirect=True)
def test_ratios_at_their_limits(client):
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'uuid': provider, 'name': 'n'})
    for ratio, fits in ((3.40282e+38, True), (5e-324, True), (0, True), (-2.5, False),
                        (-1.7976931348623157e+308, False), (3.5e+38, False)):
        generation = client('GET', f'/resource_providers/{provider}')['generation']
        inventory = {'total': 5, 'reserved': 5, 'allocation_ratio': ratio}
        reshaped = client.send('POST', '/reshaper', {'allocations': {}, 'inventories': {
            provider: {'resource_provider_generation': generation,
                       'inventories': {'VCPU': inventory}}}})
        assert reshaped.status_code == (204 if fits else 400), ratio
        generation = client('GET', f'/resource_providers/{provider}')['generation']
        put = client.send('PUT', f'/resource_providers/{provider}/inventories/VCPU',
                          {'resource_provider_generation': generation, **inventory})
        assert put.status_code == (200 if fits else 400), ratio
