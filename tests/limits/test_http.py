"""What clients, proxies and browsers send that is not quite an ordinary request."""

import pytest
from service import GET, HEAD, POST

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
    # Once more in a body without a length.
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
