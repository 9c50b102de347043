"""TLS and signals: what surrounds the service while it runs."""

import json
import signal
import socket
import ssl
import subprocess
import time

import drivers
import httpx
import pytest
import service as services
from service import GET, POST, Connection, await_true, status

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)


def make_certificate(directory, name):
    """A certificate of its own authority, and its key."""
    cert, key = directory / f'{name}.pem', directory / f'{name}.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
         '-keyout', key, '-out', cert, '-days', '2', '-subj', f'/CN={name}',
         '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
        check=True, capture_output=True)
    return cert, key


class Encrypted(services.Service):
    """A service under TLS; its port says when it is ready."""

    def _wait_until_ready(self):
        def listens():
            if self.process.poll() is not None:
                raise drivers.ServerError(self._log_tail())
            return 'listening on https://' in self.log()
        await_true(listens, 'not started')


@pytest.fixture
def encrypted(tmp_path, database):
    started = []

    def start(cert, key, **tables):
        tables = {'tls': {'cert': str(cert), 'key': str(key)}, **tables}
        made = Encrypted(tmp_path, next(drivers.PORTS), database, tables)
        started.append(made)
        made.ensure_started()
        return made

    yield start
    for made in started:
        made.stop()


def trusting(cert):
    return ssl.create_default_context(cafile=str(cert))


def get(server, cert, path='/', **headers):
    url = server.url.replace('http:', 'https:')
    return httpx.get(url + path, verify=trusting(cert), trust_env=False, headers={
        'x-auth-token': 'admin', **headers})


def test_tls(encrypted, tmp_path):
    cert, key = make_certificate(tmp_path, 'one')
    server = encrypted(cert, key, limits={'header_seconds': 1})
    assert get(server, cert).json()['versions']
    created = httpx.post(
        server.url.replace('http:', 'https:') + '/resource_providers', json={'name': 'a'},
        verify=trusting(cert), trust_env=False, headers={'x-auth-token': 'admin'})
    assert created.headers['location'].startswith(f'https://127.0.0.1:{server.port}/resource_providers/')
    # Plain HTTP is no way in, and who never shakes hands is not waited for.
    plain = server.connect()
    plain.send(GET)
    assert status(plain.read_to_end()) is None
    silent = server.connect()
    assert silent.read_to_end() == b''
    # Nor is one that dribbles after it.
    slow = Connection(server.port, trusting(cert))
    slow.send(b'GET')
    assert status(slow.read_to_end()) == 408
    other, _ = make_certificate(tmp_path, 'other')
    with pytest.raises(httpx.ConnectError):
        get(server, other)


def test_a_long_wait_under_tls(encrypted, tmp_path):
    cert, key = make_certificate(tmp_path, 'one')
    server = encrypted(cert, key)

    def request(method, path, expected, **more):
        answer = httpx.request(
            method, server.url.replace('http:', 'https:') + path, verify=trusting(cert), trust_env=False,
            headers={'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'}, **more)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    provider = request('POST', '/resource_providers', 200, json={'name': 'a'})['uuid']
    tickets = f'/resource_providers/{provider}/waitlist'
    active, *queued = [
        request('POST', tickets, 201, json={'scope': 'vm', 'id': 'a', 'lease_seconds': 600})['uuid']
        for _ in range(3)]
    waiting = Connection(server.port, trusting(cert))
    # Two waits follow each other on one connection.
    for ticket in queued:
        head = f'GET {tickets}/{ticket}?wait=true HTTP/1.1\r\nhost: a\r\nx-auth-token: admin\r\n\r\n'
        waiting.send(head.encode())
        time.sleep(0.5)
        request('DELETE', f'{tickets}/{active}', 204)
        code, body = waiting.read_answer()
        assert (code, json.loads(body)['status']) == (200, 'active')
        active = ticket


def test_a_new_certificate_at_sighup(encrypted, tmp_path):
    cert, key = make_certificate(tmp_path, 'one')
    server = encrypted(cert, key)
    one = cert.read_text()
    kept = Connection(server.port, trusting(cert))
    kept.send(GET)
    assert kept.read_answer()[0] == 200
    new_cert, new_key = make_certificate(tmp_path, 'two')
    # A certificate without its key changes nothing.
    cert.write_text(new_cert.read_text())
    server.process.send_signal(signal.SIGHUP)
    server.await_log('the certificate of before stays in force: tls.key')
    old = tmp_path / 'old.pem'
    old.write_text(one)
    assert get(server, old).status_code == 200
    key.write_text(new_key.read_text())
    server.process.send_signal(signal.SIGHUP)
    server.await_log('the certificate is read again')
    assert get(server, new_cert).status_code == 200
    with pytest.raises(httpx.ConnectError):
        get(server, old)
    # Connections that are open go on.
    kept.send(GET)
    assert kept.read_answer()[0] == 200


def test_wrong_files_stop_the_start(tmp_path, database):
    cert, key = make_certificate(tmp_path, 'one')
    _, other_key = make_certificate(tmp_path, 'other')
    empty = tmp_path / 'empty'
    empty.write_text('nothing')
    for files, words in [
        ((tmp_path / 'missing', key), ['tls.cert', 'missing', 'cannot read']),
        ((empty, key), ['tls.cert', 'no certificate']),
        ((cert, empty), ['tls.key', 'no private key']),
        ((cert, other_key), ['tls.key', 'does not go with']),
        ((key, cert), ['tls.cert']),
    ]:
        file = tmp_path / 'wrong.toml'
        file.write_text(services.toml({
            'listen': '127.0.0.1:0', 'database': {'url': database.url},
            'tls': {'cert': str(files[0]), 'key': str(files[1])}}))
        ended = subprocess.run(
            [drivers.binary(), 'serve', '--config', file], env=drivers.environment(), text=True,
            capture_output=True, timeout=services.PATIENCE)
        assert ended.returncode == 2, ended
        assert all(word in ended.stderr for word in words), (words, ended.stderr)


BODY = b'{"name": "last"}'


def half_sent(server, name=BODY):
    connection = server.connect()
    assert connection.send(POST + b'Content-Length: %d\r\n\r\n' % len(name) + name[:5])
    return connection


def test_sigterm_finishes_what_is_under_way(service):
    server = service(limits={'shutdown_seconds': 50})
    idle = server.connect()
    idle.send(GET)
    assert idle.read_answer()[0] == 200
    working = half_sent(server)
    # It is under way once the service has read that much, of which nothing tells.
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    assert idle.read_to_end() == b''

    def refuses():
        try:
            socket.create_connection(('127.0.0.1', server.port), 5).close()
        except ConnectionRefusedError:
            return True
        return False
    await_true(refuses, 'it takes new connections')
    assert server.process.poll() is None
    assert working.send(BODY[5:])
    answer = working.read_to_end()
    # Before 1.20 a new provider is answered with 201.
    assert status(answer) == 201, answer
    assert server.process.wait(services.PATIENCE) == 0
    assert 'stopped' in server.log()


def test_a_service_that_drains_answers_all_requests_and_is_not_ready(service):
    server = service(limits={'drain_seconds': 3600})
    old = server.connect()
    old.send(GET)
    assert old.read_answer()[0] == 200
    server.process.send_signal(signal.SIGTERM)
    ready = lambda: httpx.get(f'http://127.0.0.1:{server.port}/healthcheck?ready', trust_env=False)
    await_true(lambda: ready().status_code == 503, 'ready while it stops')
    assert 'being stopped' in ready().text
    # Each connection, old or new, has one more answer, and then ends.
    for connection in (old, server.connect()):
        connection.send(GET)
        answer = connection.read_to_end()
        assert status(answer) == 200 and b'connection: close' in answer.lower()
    assert server.process.poll() is None
    # A second signal ends the time.
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(services.PATIENCE) == 0
    assert 'stopped' in server.log()


def test_sigterm_does_not_wait_for_ever(service):
    server = service(limits={'shutdown_seconds': 1, 'body_seconds': 3600})
    stuck = half_sent(server)
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(services.PATIENCE) == 0
    assert status(stuck.read_to_end()) is None


def test_health_is_told_while_it_stops(service):
    port = next(drivers.PORTS)
    server = service(limits={'shutdown_seconds': 50}, admin={'listen': f'127.0.0.1:{port}'})
    working = half_sent(server)
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    ready = lambda: httpx.get(f'http://127.0.0.1:{port}/healthcheck?ready', trust_env=False)
    await_true(lambda: ready().status_code == 503, 'ready while it stops')
    assert 'being stopped' in ready().text
    assert working.send(BODY[5:])
    assert status(working.read_to_end()) == 201
    assert server.process.wait(services.PATIENCE) == 0


def test_sighup_reads_again_what_it_can(service):
    server = service(log='warn')
    ask = lambda: httpx.get(server.url + '/traits', trust_env=False, headers={
        'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'})
    ask()
    assert 'GET /traits' not in server.log()
    server.tables.update(log='info', workers=3, limits={'body_bytes': 2048})
    server.write_config()
    server.process.send_signal(signal.SIGHUP)
    server.await_log('for the next start only: workers, limits.body_bytes')
    ask()
    server.await_log('GET /traits')
    # Settings that are wrong change nothing.
    server.file.write_text('lisen = 1')
    server.process.send_signal(signal.SIGHUP)
    server.await_log('the settings of before stay in force')
    ask()
    server.await_log('GET /traits', 2)
    assert server.process.poll() is None


def test_each_refusal_names_its_rule(service):
    """A line in the log for each request that is refused, with what refused it."""
    server = service()
    ask = lambda **headers: httpx.get(server.url + '/resource_providers', trust_env=False, headers=headers)
    assert ask().status_code == 401
    server.await_log('refused: it has no token')
    assert ask(**{'x-auth-token': 'someone'}).status_code == 403
    server.await_log('refused by placement:resource_providers:list (')
    for headers, query, setting in [
        ({'x-long': 'x' * 40_000}, '', 'header_bytes'),
        ({}, '?name=' + 'x' * 40_000, 'query_bytes'),
        ({}, '?' + 'a&' * 1_000, 'query_parameters'),
    ]:
        httpx.get(server.url + '/resource_providers' + query, trust_env=False,
                  headers={'x-auth-token': 'admin', **headers})
        server.await_log(f'refused by limits.{setting}')
    httpx.post(server.url + '/resource_providers', content=b'x' * (5 << 20), trust_env=False,
               headers={'x-auth-token': 'admin'})
    server.await_log('refused by limits.body_bytes')
    # Nobody else is mentioned.
    assert ask(**{'x-auth-token': 'admin'}).status_code == 200
    assert server.log().count('refused by') == 5
