"""Exchanges with the service: sent, written down as samples, and sent again.

What the service makes up (uuids, request ids, times) is replaced by values that
are the same in each run, so that the samples are too.
"""

import http
import http.client
import json
import pathlib
import re
import urllib.parse
import uuid

import scenario

SAMPLES = pathlib.Path(__file__).resolve().parent / 'source' / 'samples'
INDEX = 'exchanges.json'
# The name under which the service is asked; it is in `Location`.
HOST = 'placement.example.com'
# What belongs to the connection and not to the API.
LEFT_OUT = {'content-length', 'date', 'connection', 'transfer-encoding'}

UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
DATE = re.compile(r'[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT')
TIME = re.compile(r'(\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d)(\.\d+)?(?=Z|[+-]\d\d:\d\d|\b)')
SAME_DATE = 'Tue, 03 Nov 2026 00:26:37 GMT'
SAME_TIME = '2026-11-03{}00:26:37'
# Headers whose values are of one machine and one moment.
SAME_HEADERS = {'X-Response-Time': '1', 'X-Server-Name': 'placement1'}


class Recorder:
    """Sends exchanges one after the other to a service that starts out empty."""

    def __init__(self, url, door):
        """`url` is the service's address, `door` that of its dialects without a token."""
        self.addresses = {HOST: urllib.parse.urlsplit(url), scenario.DOOR: urllib.parse.urlsplit(door)}
        # What requests have said is the client's and stays as it is.
        self.said = ''
        # The service's uuids, and those that stand for them.
        self.stand_ins = {}

    def send(self, method, target, headers, body):
        """One exchange; returns status, headers and body, with stand-ins."""
        payload = None if body is None else json.dumps(body)
        self.said += target + (payload or '')
        headers = {'Host': HOST, **headers}
        address = self.addresses[headers['Host']]
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        try:
            connection.request(method, self._real(target), payload and self._real(payload), {
                name: self._real(value) for name, value in headers.items()})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        # By name: their order on the wire is nobody's promise.
        kept = {_title(name): SAME_HEADERS.get(_title(name), self._stable(value))
                for name, value in sorted(answer.getheaders(), key=lambda pair: pair[0].lower())
                if name.lower() not in LEFT_OUT}
        return answer.status, kept, self._stable(text)

    def _real(self, text):
        for real, stand_in in self.stand_ins.items():
            text = text.replace(stand_in, real)
        return text

    def _stable(self, text):
        text = UUID.sub(lambda found: self._stand_in(found[0], text), text)
        text = DATE.sub(SAME_DATE, text)
        return TIME.sub(self._stable_time, text)

    def _stable_time(self, found):
        if found[1] in self.said:
            return found[0]
        # Its form stays: as many digits as there were.
        return SAME_TIME.format(found[2]) + re.sub(r'\d', '0', found[3] or '')

    def _stand_in(self, real, text):
        if real in self.said:
            return real
        if f'req-{real}' in text:
            return str(uuid.uuid5(uuid.NAMESPACE_URL, 'request'))
        return self.stand_ins.setdefault(real, scenario.made(len(self.stand_ins)))


def _title(name):
    return '-'.join(part if part.isupper() else part.capitalize()
                    for part in name.split('-')).replace('Openstack-Api', 'OpenStack-API')


def request_headers(step):
    headers = {'Content-Type': 'application/json'} if step.body is not None else {}
    if step.version is not None:
        headers['OpenStack-API-Version'] = f'placement {step.version}'
    if step.token is not None:
        headers['X-Auth-Token'] = step.token
    return {**headers, **step.headers}


def record(url, door):
    """Walk the scenario; returns each exchange as it is written down."""
    recorder = Recorder(url, door)
    exchanges = []
    for step in scenario.steps():
        headers = request_headers(step)
        status, answered, text = recorder.send(step.method, step.target, headers, step.body)
        if status != step.status or (step.code and code_of(text) != step.code):
            raise SystemExit(f'{step.name}: expected {step.status} {step.code}, got {status} {text}')
        exchanges.append({
            'name': step.name, 'operation': step.operation, 'title': step.title,
            'request': {'method': step.method, 'target': step.target, 'headers': headers,
                        'body': step.body},
            'response': {'status': status, 'headers': answered,
                         'body': shown_body(text, step.body_shown)}})
    return exchanges


def shown_body(text, shown=True):
    """The body as a sample has it: parsed, or None."""
    return json.loads(text) if text and shown else None


def code_of(text):
    """The error code of an answer: in CNAPI's dialects there is one of the whole."""
    try:
        error = json.loads(text)
        return error.get('code') if 'message' in error else error['errors'][0].get('code')
    except (ValueError, KeyError, TypeError):
        return None


def files(exchanges):
    """The sample files: bodies by themselves, everything else in an index."""
    written, index = {}, []
    for exchange in exchanges:
        entry = {**exchange}
        for side in ('request', 'response'):
            entry[side] = {key: value for key, value in exchange[side].items() if key != 'body'}
            body = exchange[side]['body']
            if body is not None:
                name = entry[side]['body'] = f'{exchange["name"]}-{side}.json'
                written[name] = as_json(body)
        index.append(entry)
    written[INDEX] = as_json(index)
    return written


def as_json(value):
    return json.dumps(value, indent=2, ensure_ascii=False) + '\n'


def load(directory=SAMPLES):
    """The exchanges that are written down."""
    exchanges = json.loads((directory / INDEX).read_text())
    for exchange in exchanges:
        for side in ('request', 'response'):
            name = exchange[side].get('body')
            exchange[side]['body'] = json.loads((directory / name).read_text()) if name else None
    return exchanges


def reason(status):
    return http.HTTPStatus(status).phrase
