"""Connections end, the database restarts, hangs and is cut off: requests are answered as soon as the
database is there again, no answered write is lost, and none is done twice.
"""

import concurrent.futures
import time
import uuid

import api
import load
import pytest


def ask_everything(client, provider):
    """One request of each kind; gives their statuses."""
    consumer = str(uuid.uuid4())
    other = str(uuid.uuid4())
    path = f'/resource_providers/{provider}'
    requests = [
        ('PUT', f'/allocations/{consumer}', load.claim_body({provider: 1})),
        ('GET', path, None),
        ('DELETE', f'/allocations/{consumer}', None),
        ('POST', '/allocations', {
            other: load.claim_body({provider: 1}), consumer: load.claim_body({provider: 2})}),
        ('GET', f'/allocations/{other}', None),
        ('PUT', f'{path}/aggregates', None),
        ('GET', '/traits', None),
        ('POST', f'{path}/waitlist', {'scope': 'host', 'id': other, 'lease_seconds': 60}),
        ('GET', '/healthcheck?ready', None),
    ]
    for method, at, body in requests:
        if at.endswith('/aggregates'):
            body = {'aggregates': [other],
                    'resource_provider_generation': client('GET', path)['generation']}
        yield method, at, client.send(method, at, body).status_code


@pytest.mark.parametrize('pause', [0, 1.5])
def test_killed_while_idle(serve, server, database, pause):
    """Idle connections end, as after a restart or by a balancer: no client sees anything of it, whichever
    request comes first.
    """
    service = serve()
    client = api.Api(service.url)
    provider = load.make_provider(client)
    # There are several connections, so that one after the other could be handed out.
    with load.Load(service.url, clients=4) as crowd:
        crowd.await_answers()
    for number in range(6) if pause == 0 else (0, 1, 2):
        consumer, claim = str(uuid.uuid4()), load.claim_body({provider: 1})
        if number in (2, 4):
            client('PUT', f'/allocations/{consumer}', claim)
        assert server.kill_connections() > 0
        time.sleep(pause)
        answer = client.send(*[
            ('GET', f'/resource_providers/{provider}'),
            ('PUT', f'/allocations/{consumer}', claim),
            ('DELETE', f'/allocations/{consumer}'),
            ('POST', '/allocations', {consumer: claim, str(uuid.uuid4()): claim}),
            ('PUT', f'/allocations/{consumer}', load.claim_body({provider: 2}, 1)),
            ('GET', '/healthcheck?ready'),
        ][number])
        assert answer.status_code in (200, 204), answer.text
        statuses = list(ask_everything(client, provider))
        assert [each for each in statuses if each[2] >= 400] == []
    load.await_picture(client, database)


def test_idle_for_longer_than_the_server_allows(serve, server, database):
    server.set_idle_timeout(2)
    service = serve()
    client = api.Api(service.url)
    provider = load.make_provider(client)
    with load.Load(service.url, clients=4) as crowd:
        crowd.await_answers()
    crowd.check(database)
    time.sleep(3)
    statuses = list(ask_everything(client, provider))
    assert [each for each in statuses if each[2] >= 400] == []


def test_killed_under_load(serve, server, database):
    service = serve()
    with load.Load(service.url) as crowd:
        for _ in range(5):
            crowd.await_answers()
            assert server.kill_connections() > 0
        print(f'answered again after {crowd.await_answers():.3f} s')
    # Reads are done again. The outcome of a write may be unknown only if its COMMIT was under way.
    assert crowd.refused('GET') == 0
    crowd.check(database)


def test_restart_under_load(serve, server, database):
    service = serve()
    with load.Load(service.url) as crowd:
        for _ in range(2):
            crowd.await_answers()
            server.restart(down=1)
            print(f'answered again after {crowd.await_answers():.3f} s')
    crowd.check(database)


def test_stopped_under_load(serve, server, database):
    """The server's machine hangs, and goes on."""
    service = serve()
    with load.Load(service.url) as crowd:
        crowd.await_answers()
        with server.stopped():
            time.sleep(10)
        print(f'answered again after {crowd.await_answers():.3f} s')
    crowd.check(database)


def test_cut_under_load(serve, server, database, proxy):
    service = serve(via=proxy.leading_to(database))
    with load.Load(service.url) as crowd:
        for near_only in (False, True, False, True):
            crowd.await_answers()
            proxy.cut(near_only)
        print(f'answered again after {crowd.await_answers():.3f} s')
    assert crowd.refused('GET') == 0
    crowd.check(database)


def test_slow_network(serve, server, database, proxy):
    service = serve(via=proxy.leading_to(database))
    with load.Load(service.url) as crowd:
        crowd.await_answers()
        proxy.delay = 0.03
        crowd.await_answers()
        proxy.cut()
        crowd.await_answers()
        proxy.delay = 0
        print(f'answered again after {crowd.await_answers():.3f} s')
    assert crowd.refused('GET') == 0
    crowd.check(database)


def test_black_hole_under_load(serve, server, database, proxy):
    """Packets vanish, and afterwards the connections are dead without any sign of it."""
    service = serve(via=proxy.leading_to(database))
    with load.Load(service.url) as crowd:
        crowd.await_answers()
        proxy.is_black_hole = True
        time.sleep(3)
        proxy.cut()
        proxy.is_black_hole = False
        print(f'answered again after {crowd.await_answers():.3f} s')
    crowd.check(database)


def test_ready_says_what_requests_meet(serve, server, database):
    service = serve()
    client = api.Api(service.url)
    provider = load.make_provider(client)
    path = f'/resource_providers/{provider}'

    def both():
        return (client.send('GET', '/healthcheck?ready').status_code,
                client.send('GET', path).status_code)

    assert both() == (200, 200)
    server.process.stop()
    # A result of the readiness check holds for a second.
    deadline = time.monotonic() + 60
    while client.send('GET', '/healthcheck?ready').status_code != 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # The service lives all the same, and a new request is answered once the database is back.
    assert client.send('GET', '/healthcheck').status_code == 200
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(api.Api(service.url).send, 'GET', path)
        server.process.launch()
        assert asked.result().status_code == 200
    deadline = time.monotonic() + 60
    while client.send('GET', '/healthcheck?ready').status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
