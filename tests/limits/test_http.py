"""Clients, proxies and browsers that send a little more than an ordinary request."""

import contextlib
import signal
import socket

import drivers
import httpx
import pytest
from service import GET, HEAD, POST, PATIENCE, Connection, await_true, status

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

UPGRADES = [
    b'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    b'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    b'Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n',
    b'Upgrade: websocket, foo/2\r\n',
]


@pytest.mark.parametrize('upgrade', UPGRADES)
def test_an_upgrade_is_ignored(service, upgrade):
    """The request is answered as if it asked for none, and its connection goes on."""
    connection = service().connect()
    connection.send(b'GET / HTTP/1.1\r\n' + HEAD + upgrade + b'\r\n')
    assert connection.read_answer()[0] == 200
    body = b'{"name": "upgraded"}'
    head = POST + upgrade + b'Content-Length: %d\r\n\r\n' % len(body)
    connection.send(head + body[:5])
    connection.send(body[5:] + GET)
    assert connection.read_answer()[0] == 201
    assert connection.read_answer()[0] == 200
    # The same holds for a body without a length.
    chunked = POST.replace(b'POST', b'PUT') + upgrade + b'Transfer-Encoding: chunked\r\n\r\n'
    connection.send(chunked + b'2\r\n{}\r\n0\r\n\r\n' + GET)
    assert connection.read_answer()[0] == 405
    assert connection.read_answer()[0] == 200


def test_a_head_without_one_host_is_refused(service):
    server = service()
    for hosts in (b'', b'Host: a\r\nHost: b\r\n'):
        connection = server.connect()
        connection.send(b'GET / HTTP/1.1\r\n' + hosts + b'\r\n')
        assert connection.read_to_end().startswith(b'HTTP/1.1 400 ')
    old = server.connect()
    old.send(b'GET / HTTP/1.0\r\n\r\n')
    assert b' 200 ' in old.read_to_end()


MIB = 1 << 20
EXPECT = b'Expect: 100-continue\r\n'
ANONYMOUS = POST.replace(b'X-Auth-Token: admin\r\n', b'')


def length(number):
    return b'Content-Length: %d\r\n\r\n' % number


def test_a_body_is_asked_for_only_when_it_is_wanted(service):
    server = service(limits={'body_bytes': 1024})
    for head, size, expected in [
        (POST, 2000, 413),
        (ANONYMOUS, 20, 401),
        (POST.replace(b'/resource_providers', b'/nowhere'), 20, 404),
        (POST.replace(b'POST', b'PATCH'), 20, 405),
        (POST.replace(b'application/json', b'text/csv'), 20, 415),
    ]:
        connection = server.connect()
        connection.send(head + EXPECT + length(size))
        answer = connection.read_to_end()
        assert status(answer) == expected, answer
        assert b'100 Continue' not in answer and b'connection: close' in answer.lower()
    connection = server.connect()
    for number in range(2):
        body = b'{"name": "asked for %d"}' % number
        connection.send(POST + EXPECT + length(len(body)))
        # `100 Continue` is sent once, and then the answer.
        assert connection.read_answer() == (100, b'')
        connection.send(body)
        assert connection.read_answer()[0] == 201


def test_bodies_of_strangers_are_not_read(service):
    server = service()
    before = server.memory()
    connections = [server.connect() for _ in range(60)]
    for connection in connections:
        connection.socket.setblocking(False)
        with contextlib.suppress(OSError):
            connection.socket.send(ANONYMOUS + length(4 * MIB) + bytes(MIB))
        connection.socket.settimeout(PATIENCE)
    for connection in connections:
        assert status(connection.read_to_end()) in (401, None)
    assert server.memory('VmHWM') - before < 64 * MIB
    server.await_log('status: 401', 60)


def test_a_refusal_keeps_the_connection_of_a_small_body(service):
    connection = service().connect()
    body = b'{"name": "small"}'
    connection.send(ANONYMOUS + length(len(body)) + body)
    assert connection.read_answer()[0] == 401
    connection.send(POST + length(len(body)) + body)
    assert connection.read_answer()[0] == 201


def test_all_bodies_together_are_bounded(service):
    """A large body that comes slowly makes other large ones wait, and then ask again; small ones go on."""
    server = service(limits={'body_bytes': MIB, 'all_bodies_bytes': 2 * MIB})
    body = b'{"name": "large"}'.ljust(MIB)
    slow = server.connect()
    slow.send(POST + EXPECT + length(MIB))
    assert slow.read_answer()[0] == 100
    other = server.connect()
    other.send(POST + EXPECT + length(MIB))
    answer = other.read_to_end()
    assert status(answer) == 503 and b'Too many bodies' in answer and b'retry-after: ' in answer.lower()
    small = server.connect()
    small.send(POST + length(17) + b'{"name": "small"}')
    assert small.read_answer()[0] == 201
    slow.send(body)
    assert slow.read_answer()[0] == 201
    other = server.connect()
    other.send(POST + EXPECT + length(MIB))
    assert other.read_answer()[0] == 100
    server.await_log('refused by limits.all_bodies_bytes')


def test_tokens_that_are_not_ascii_or_there_twice_are_refused(service):
    server = service()
    for more in (b'X-Service-Token: gea\xefndert\r\n', b'X-Auth-Token: nobody\r\n', b'X-Roles: adm\xefn\r\n',
                 b'X-Service-Token: a\r\nX-Service-Token: b\r\n'):
        connection = server.connect()
        connection.send(b'GET /resource_providers HTTP/1.1\r\n' + HEAD + more + b'\r\n')
        assert connection.read_answer()[0] == 401, more
    server.await_log('refused: a header that says who asks is not ASCII', 2)
    server.await_log('refused: a header that says who asks is there twice', 2)


def api(server, method, path, body=None):
    answer = httpx.request(method, server.url + path, json=body, trust_env=False, headers={
        'x-auth-token': 'admin:lab', 'openstack-api-version': 'placement 1.39'})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_the_log_has_who_asks_and_who_hangs_up(service):
    server = service()
    provider = api(server, 'POST', '/resource_providers', {'name': 'a'})['uuid']
    server.await_log('"POST /resource_providers" status: 200 ')
    tickets = f'/resource_providers/{provider}/waitlist'
    ticket = {'scope': 'vm', 'id': 'a', 'lease_seconds': 600}
    _, second = (api(server, 'POST', tickets, ticket)['uuid'] for _ in range(2))
    lines = [line for line in server.log().splitlines() if 'allotment::access' in line]
    assert all(' user: admin project: lab ms: ' in line for line in lines if '"POST ' in line), lines
    httpx.get(server.url + '/traits', trust_env=False)
    server.await_log(' user: - project: - ms: ')
    for behind in (b'', GET, GET + GET[:10]):
        waiting = server.connect()
        waiting.send(f'GET {tickets}/{second}?wait=true HTTP/1.1\r\n'.encode() + HEAD + b'\r\n' + behind)
        await_true(lambda: 'allotment_waitlist_waiters 1\n' in httpx.get(server.url + '/metrics').text, 'no waiter')
        waiting.close()
        await_true(lambda: 'allotment_waitlist_waiters 0\n' in httpx.get(server.url + '/metrics').text, 'a waiter')
    server.await_log('?wait=true" status: 499 len: 0 ', 3)


@pytest.fixture
def door(service):
    """A service with an address that takes no tokens, a server there, and how requests are sent to it."""
    port = next(drivers.PORTS)
    server = service(waitlist={'cnapi_listen': f'127.0.0.1:{port}'}, cors={'allowed_origins': ['*']},
                     limits={'shutdown_seconds': 50})
    path = f'/servers/{api(server, "POST", "/resource_providers", {"name": "a"})["uuid"]}/tickets'

    def send(method, path=path, **headers):
        form = {'scope': 'vm', 'id': 'a', 'expires_at': '3000'} if method == 'POST' else None
        return httpx.request(method, f'http://127.0.0.1:{port}{path}', data=form, trust_env=False, headers=headers)
    return server, port, send


def test_pages_of_other_sites_can_write_nothing_where_no_token_is_needed(door):
    _, port, send = door
    for headers in ({'origin': 'http://evil.example'}, {'origin': 'null'}, {'sec-fetch-site': 'cross-site'},
                    {'origin': 'http://evil.example', 'content-type': 'text/plain'},
                    {'origin': 'http://evil.example', 'content-type': 'application/json'}):
        for method in ('POST', 'DELETE'):
            answer = send(method, **headers)
            assert answer.status_code == 403, (headers, answer.text)
            assert not any(name.startswith('access-control') for name in answer.headers)
    assert send('GET').json() == []
    preflight = send('OPTIONS', origin='http://evil.example', **{'access-control-request-method': 'POST'})
    assert preflight.status_code == 405
    assert not any(name.startswith('access-control') for name in preflight.headers)
    assert send('POST').status_code == 202
    assert send('POST', origin=f'http://127.0.0.1:{port}').status_code == 202
    assert len(send('GET').json()) == 2


def test_the_address_without_tokens_stops_with_the_api(door):
    server, port, _ = door
    idle = Connection(port)
    idle.send(b'GET /tickets HTTP/1.1\r\nHost: a\r\n\r\n')
    assert idle.read_answer()[0] == 404
    body = b'{"name": "last"}'
    working = server.connect()
    working.send(POST + EXPECT + length(len(body)))
    assert working.read_answer()[0] == 100
    server.process.send_signal(signal.SIGTERM)
    assert idle.read_to_end() == b''

    def refuses():
        try:
            socket.create_connection(('127.0.0.1', port), 5).close()
        except ConnectionRefusedError:
            return True
        return False
    await_true(refuses, 'it takes new connections')
    # The API is still at work.
    assert server.process.poll() is None
    working.send(body)
    assert working.read_answer()[0] == 201
    assert server.process.wait(PATIENCE) == 0
