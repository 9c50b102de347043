"""Good requests of kinds that the fuzzer seldom gets right, at every version.

A search, a claim for several consumers and a reshape need so much to be true
at once that hardly a request made at random is answered with success.
"""

import uuid

import api
import httpx
import pytest
import schemathesis

NEWEST = int(api.LATEST.partition('.')[2])


class Checked:
    """A client at one version that holds every answer against the document."""

    def __init__(self, url, minor):
        self.minor = minor
        self.api = api.Api(url)
        self.version = f'1.{minor}'
        document = httpx.get(f'{url}/openapi.json', params={'microversion': self.version},
                             trust_env=False).json()
        self.schema = schemathesis.openapi.from_dict(document)

    def __call__(self, expected, method, template, body=None, query='', **names):
        answer = self.api.send(method, template.format(**names) + query, body, self.version)
        assert answer.status_code == expected, f'{self.version} {method} {template}: {answer.text}'
        operation = self.schema[template][method]
        assert str(expected) in operation.definition.raw['responses']
        operation.validate_response(answer)
        return answer.json() if answer.content else None

    def claim(self, provider, vcpus):
        body = {'allocations': {provider: {'resources': {'VCPU': vcpus}}},
                'project_id': 'p', 'user_id': 'u'}
        if self.minor >= 28:
            body['consumer_generation'] = None
        if self.minor >= 38:
            body['consumer_type'] = 'INSTANCE'
        return body


def walk(call):
    provider = str(uuid.uuid4())
    at_provider = {'uuid': provider}
    call(200 if call.minor >= 20 else 201, 'POST', '/resource_providers',
         {'name': provider, 'uuid': provider})
    call(200, 'PUT', '/resource_providers/{uuid}/inventories', {
        'resource_provider_generation': 0,
        'inventories': {'VCPU': {'total': 8}, 'DISK_GB': {'total': 8}}}, **at_provider)
    call(204, 'DELETE', '/resource_providers/{uuid}/inventories/{resource_class}',
         resource_class='DISK_GB', **at_provider)
    if call.minor >= 10:
        found = call(200, 'GET', '/allocation_candidates', query='?resources=VCPU:2')
        assert provider in found['provider_summaries']
    if call.minor >= 13:
        call(204, 'POST', '/allocations',
             {str(uuid.uuid4()): call.claim(provider, 1) for _ in range(2)})
    consumer = {'consumer_uuid': str(uuid.uuid4())}
    claim = call.claim(provider, 2)
    if call.minor < 12:
        claim['allocations'] = [{'resource_provider': {'uuid': provider},
                                 'resources': {'VCPU': 2}}]
    if call.minor < 8:
        del claim['project_id'], claim['user_id']
    call(204, 'PUT', '/allocations/{consumer_uuid}', claim, **consumer)
    held = call(200, 'GET', '/allocations/{consumer_uuid}', **consumer)
    assert held['allocations'][provider]['resources'] == {'VCPU': 2}
    holders = call(200, 'GET', '/resource_providers/{uuid}/allocations', **at_provider)
    assert consumer['consumer_uuid'] in holders['allocations']
    if call.minor >= 9:
        usages = call(200, 'GET', '/usages', query='?project_id=p')
        assert usages['usages']
    if call.minor >= 30:
        reshaped = call.claim(provider, 3)
        reshaped['consumer_generation'] = held['consumer_generation']
        call(204, 'POST', '/reshaper', {
            'inventories': {provider: {
                'resource_provider_generation': holders['resource_provider_generation'],
                'inventories': {'VCPU': {'total': 16}}}},
            'allocations': {consumer['consumer_uuid']: reshaped}})
        held = call(200, 'GET', '/allocations/{consumer_uuid}', **consumer)
        assert held['allocations'][provider]['resources'] == {'VCPU': 3}
    call(409, 'DELETE', '/resource_providers/{uuid}', **at_provider)
    call(200, 'GET', '/openapi.json')


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_what_is_asked_right_is_answered_as_documented(serve, driver):
    service = serve(driver)
    for minor in range(NEWEST + 1):
        walk(Checked(service.url, minor))


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_an_answer_that_does_not_fit_is_noticed(serve, driver):
    call = Checked(serve(driver).url, NEWEST)
    answer = call.api.send('GET', '/resource_providers')
    with pytest.raises(BaseExceptionGroup):
        call.schema['/usages']['GET'].validate_response(answer)
