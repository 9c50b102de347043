"""Every sample of the site is sent again, and must be answered as it stands there."""

import copy
import sys

import built
import drivers
import pytest

sys.path.insert(0, str(built.ROOT / 'api-ref'))
import exchanges  # noqa: E402


class OpenServer(drivers.AllotmentServer):
    """A server with an address that takes no tokens."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.door = self.open_door()


@pytest.fixture
def answers(serve):
    """Sends the requests of the samples to a fresh service, in their order."""
    server = serve(OpenServer)
    return lambda walked: sent(exchanges.Recorder(server.url, server.door), walked)


def sent(recorder, walked):
    found = []
    for exchange in walked:
        request = exchange['request']
        status, headers, text = recorder.send(
            request['method'], request['target'], request['headers'], request['body'])
        shown = exchange['response']['body'] is not None
        found.append({'status': status, 'headers': headers,
                      'body': exchanges.shown_body(text, shown)})
        # Only what is no JSON, or too long to be shown, is left out.
        assert shown or not text or exchange['name'] in ('openapi', 'docs'), exchange['name']
    return found


def differences(walked, found):
    return [f'{exchange["name"]}: {part} is {answer[part]}, not {exchange["response"][part]}'
            for exchange, answer in zip(walked, found, strict=True)
            for part in ('status', 'headers', 'body') if exchange['response'][part] != answer[part]]


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_samples_are_answered_as_they_stand(answers):
    walked = exchanges.load()
    assert len(walked) > 50
    found = answers(walked)
    assert differences(walked, found) == []


def other_status(response):
    response['status'] += 1


def header_missing(response):
    del response['headers']['X-Openstack-Request-Id']


def other_header(response):
    response['headers']['OpenStack-API-Version'] = 'placement 1.0'


def field_missing(response):
    del response['body']['name']


def further_field(response):
    response['body']['colour'] = 'blue'


def other_type(response):
    response['body']['generation'] = '0'


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_an_answer_that_differs_is_noticed(answers):
    walked = exchanges.load()
    found = answers(walked)
    number = [exchange['name'] for exchange in walked].index('provider-create')
    for change in (other_status, header_missing, other_header, field_missing, further_field, other_type):
        changed = copy.deepcopy(walked)
        change(changed[number]['response'])
        assert [text.partition(':')[0] for text in differences(changed, found)] == ['provider-create'], change
