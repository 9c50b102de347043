"""Requests for too much are refused, other requests are answered meanwhile, memory stays bounded."""

import contextlib
import resource
import socket
import threading
import time

import httpx
import pytest
from service import GET, HEAD, POST, PATIENCE, await_true, status

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

MIB = 1 << 20


class Others:
    """Clients that ask all the while; each of their requests must be answered."""

    def __init__(self, url):
        self.url = url
        self.answered = 0
        self.failures = []
        self.over = threading.Event()

    def ask(self):
        with httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE,
                          headers={'x-auth-token': 'admin'}) as client:
            while not self.over.is_set():
                try:
                    answer = client.get('/resource_providers')
                    if answer.status_code != 200:
                        self.failures.append(answer.text)
                    self.answered += 1
                except httpx.TransportError as error:
                    self.failures.append(error)
                time.sleep(0.01)

    @contextlib.contextmanager
    def asking(self):
        threads = [threading.Thread(target=self.ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            await_true(lambda: self.answered, 'nothing is answered')
            yield self
            before = self.answered
            await_true(lambda: self.answered > before, 'nothing is answered any more')
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        assert not self.failures, self.failures[:3]


def test_many_dribble_their_heads(service):
    """Slowloris: 400 connections send a byte of a head now and then, for ever."""
    server = service(limits={'header_seconds': 2})
    with Others(server.url).asking():
        # Half of them have been served before: the limit is not for newcomers alone.
        connections = [server.connect() for _ in range(400)]
        for connection in connections[:200]:
            assert connection.send(GET)
            assert connection.read_answer()[0] == 200
        opened = dict.fromkeys(connections)
        deadline = time.monotonic() + PATIENCE
        while opened:
            assert time.monotonic() < deadline, f'{len(opened)} are open still'
            for connection in list(opened):
                if not connection.send(b'G' if opened[connection] is None else b'x'):
                    del opened[connection]
                    continue
                opened[connection] = True
            time.sleep(0.2)
    answers = [status(connection.read_to_end()) for connection in connections]
    assert set(answers) <= {None, 408}
    for connection in connections:
        connection.close()


def test_a_newcomer_that_dribbles_is_told(service):
    connection = service(limits={'header_seconds': 1}).connect()
    connection.send(b'GET / HT')
    assert status(connection.read_to_end()) == 408


def test_bodies_that_dribble(service):
    """A body at a byte a second is cut after its time, with an answer."""
    server = service(limits={'body_seconds': 2})
    with Others(server.url).asking():
        for framing in (b'Content-Length: 1000\r\n\r\n', b'Transfer-Encoding: chunked\r\n\r\n'):
            connection = server.connect()
            assert connection.send(POST + framing)
            connection.socket.setblocking(False)
            data = b''
            part = b' ' if b'Length' in framing else b'1\r\n \r\n'
            deadline = time.monotonic() + PATIENCE
            while True:
                assert time.monotonic() < deadline, f'open still, after {data}'
                connection.send(part)
                time.sleep(0.3)
                try:
                    more = connection.socket.recv(65536)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    break
                if not more:
                    break
                data += more
            assert status(data) == 408, data
            assert b'within 2 seconds' in data and b'connection: close' in data.lower()
    server.await_log('status: 408')


def test_an_answer_that_nobody_reads(service):
    """A client that asks and asks and does not read is left behind."""
    server = service(limits={'answer_seconds': 2})
    with Others(server.url).asking():
        connection = server.connect()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.settimeout(1)
        request = b'GET /traits HTTP/1.1\r\n' + HEAD + b'OpenStack-API-Version: placement 1.39\r\n\r\n'
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline, 'open still'
            try:
                connection.socket.sendall(request * 10)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert server.memory('VmHWM') < 300 * MIB


def raise_limit():
    """As many open files as this process may have; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def test_ten_thousand_idle_connections(service):
    """They cost little memory, and nobody else is kept waiting."""
    count = min(10_000, raise_limit() - 1_000)
    server = service(workers=2, limits={'header_seconds': 60, 'keep_alive_seconds': 600})
    before = server.memory()
    with Others(server.url).asking():
        connections = []
        for _ in range(count):
            connection = server.connect()
            connections.append(connection)
            assert connection.send(GET)
            assert connection.read_answer()[0] == 200
        grown = server.memory() - before
        print(f'{count} idle connections take {grown / MIB:.0f} MiB')
        assert grown < 500 * MIB
        # They are alive, all of them.
        for connection in connections[::100]:
            assert connection.send(GET)
            assert connection.read_answer()[0] == 200
    for connection in connections:
        connection.close()


def test_ten_thousand_who_wait(service):
    """Each is an ordinary request, and all together take less than 300 MiB."""
    count = min(10_000, raise_limit() - 1_000)
    server = service(workers=2, limits={'header_seconds': 60})
    headers = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39'}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE, headers=headers) as client:
        uuid = client.post('/resource_providers', json={'name': 'a'}).json()['uuid']
        tickets = f'/resource_providers/{uuid}/waitlist'
        ticket = {'scope': 'vm', 'id': 'a', 'lease_seconds': 600}
        _, second = (client.post(tickets, json=ticket).json()['uuid'] for _ in range(2))
        wait = f'GET {tickets}/{second}?wait=true HTTP/1.1\r\n'.encode() + HEAD + b'\r\n'
        waiting = lambda: f'allotment_waitlist_waiters {count}\n' in client.get('/metrics').text
        before = server.memory()
        connections = []
        for _ in range(count):
            connections.append(server.connect())
            assert connections[-1].send(wait)
        await_true(waiting, 'they do not wait')
        grown = server.memory() - before
        print(f'{count} waiters take {grown / MIB:.0f} MiB')
        assert grown < 300 * MIB
    for connection in connections:
        connection.close()


def test_idle_connections_are_closed(service):
    server = service(limits={'keep_alive_seconds': 1})
    connections = [server.connect() for _ in range(200)]
    for connection in connections:
        connection.send(GET)
        assert connection.read_answer()[0] == 200
    for connection in connections:
        assert connection.read_to_end() == b''


def chunks(size):
    yield from (b'%x\r\n' % (64 << 10) + bytes(64 << 10) + b'\r\n' for _ in range(size >> 16))
    yield b'0\r\n\r\n'


def test_bodies_of_100_mb(service):
    """They are refused before they are read, whether they say how long they are or not."""
    server = service()
    before = server.memory()
    size = 100 * MIB
    with Others(server.url).asking():
        for framing, parts in [
            (b'Content-Length: %d\r\n\r\n' % size, [bytes(MIB)] * 100),
            (b'Transfer-Encoding: chunked\r\n\r\n', chunks(size)),
        ]:
            connection = server.connect()
            assert connection.send(POST + framing)
            for part in parts:
                if not connection.send(part):
                    break
            assert status(connection.read_to_end()) in (413, None)
            connection.close()
    server.await_log('status: 413', 2)
    assert server.memory('VmHWM') - before < 64 * MIB


def test_a_refused_body_ends_the_connection(service):
    """Also where its sender waits for ever with the rest, and would read the answer first."""
    server = service(limits={'body_bytes': 1024})
    for framing, body in [
        (b'Content-Length: 5000\r\n\r\n', b'x' * 100),
        (b'Transfer-Encoding: chunked\r\n\r\n', b'400\r\n' + b'x' * 1024 + b'\r\n5\r\nxxxxx'),
    ]:
        connection = server.connect()
        assert connection.send(POST + framing + body)
        answer = connection.read_to_end()
        assert status(answer) == 413
        assert b'at most 1024 bytes' in answer
        assert b'connection: close' in answer.lower()


def refused(server, request):
    connection = server.connect()
    connection.send(request)
    answer = connection.read_to_end()
    connection.close()
    return status(answer), answer


def test_header_floods(service):
    server = service()
    line = b'X-Flood-%d: ' + b'x' * 1000 + b'\r\n'
    flood = lambda count: b''.join(line % number for number in range(count))
    with Others(server.url).asking():
        start = b'GET /resource_providers HTTP/1.1\r\nConnection: close\r\n' + HEAD
        assert refused(server, start + flood(20) + b'\r\n')[0] == 200
        code, answer = refused(server, start + flood(40) + b'\r\n')
        assert code == 431 and b'at most 32768 bytes' in answer
        # The HTTP layer itself refuses a head that is too large for a request.
        small = b''.join(b'X-%d: x\r\n' % number for number in range(200))
        assert refused(server, start + small + b'\r\n')[0] == 431
        assert refused(server, start + b'X-Long: ' + b'x' * (1 << 20))[0] in (431, None)
        for _ in range(20):
            assert refused(server, start + flood(20_000))[0] in (431, None)
    assert server.memory('VmHWM') < 200 * MIB


def test_query_floods(service):
    server = service()
    with Others(server.url).asking(), httpx.Client(
            base_url=server.url, trust_env=False, headers={'x-auth-token': 'admin'}) as client:
        get = lambda query: client.get(f'/resource_providers?{query}')
        many = get('&'.join(['a'] * 1001))
        assert many.status_code == 400 and 'at most 1000 parameters' in many.text
        # As many as may be are held against what the path takes.
        assert 'at most' not in get('&'.join(['a'] * 1000)).text
        long = get('name=' + 'x' * 40_000)
        assert long.status_code == 414 and 'at most 32768 bytes' in long.text


@pytest.mark.parametrize('opening', ['[', '{"a":'])
def test_deep_json(service, opening):
    server = service()
    body = opening * 100_000
    with Others(server.url).asking():
        answer = httpx.post(server.url + '/resource_providers', content=body, trust_env=False, headers={
            'x-auth-token': 'admin', 'content-type': 'application/json'})
        assert answer.status_code == 400 and 'Malformed JSON' in answer.text
