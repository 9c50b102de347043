"""A Galera cluster with a replica of the service on each node, and with one that knows all nodes: nodes that are lost,
and come back.
"""

import concurrent.futures
import contextlib
import copy
import os
import re
import shutil
import tempfile
import uuid

import databases
import drivers
import galera
import load
import pymysql
import pytest
import service as services
from api import Api


@pytest.fixture(scope='module')
def cluster():
    """Nodes that these tests may hurt."""
    base = tempfile.mkdtemp(prefix='allotment-galera-')
    os.chmod(base, 0o755)
    made = galera.Cluster(base, detached=False, suspect_seconds=5)
    try:
        made.start()
        made.wait_until_ready()
        yield made
    finally:
        made.stop()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def replicas(cluster, tmp_path, monkeypatch):
    """A service on each node."""
    monkeypatch.setenv(*cluster.assignment())
    database = databases.Galera('replicas', tmp_path)
    database.create()
    started = []
    for number, node in enumerate(database.nodes):
        directory = tmp_path / f'replica{number}'
        directory.mkdir()
        started.append(services.Service(directory, next(drivers.PORTS), node, {}))
        started[-1].ensure_started()
    yield started
    for each in started:
        each.stop()
    cluster.heal()
    database.drop()


def ready(service):
    return Api(service.url).send('GET', '/healthcheck?ready').status_code == 200


def claim(service, provider):
    """Claims once. The service refuses while its node looks for the others."""
    client, path = Api(service.url), f'/allocations/{uuid.uuid4()}'

    def claimed():
        if client.send('PUT', path, load.claim_body({provider: 1})).status_code == 204:
            return True
        held = client.send('GET', path)
        return held.status_code == 200 and held.json()['allocations'] != {}

    services.await_true(claimed, 'no claim')


def test_nodes_that_are_lost_and_come_back(cluster, replicas):
    clients = [Api(replica.url) for replica in replicas]
    provider = load.make_provider(clients[0])

    def used():
        # A service finds its node again a moment later than the node is back.
        answers = [client.send('GET', f'/resource_providers/{provider}/usages') for client in clients]
        return [answer.json().get('usages') for answer in answers]

    for replica in replicas:
        claim(replica, provider)
    services.await_true(lambda: used() == [{'VCPU': 3}] * 3, 'a claim is not seen on each node')

    # One node is killed: the others go on.
    cluster.nodes[2].kill()
    services.await_true(lambda: not ready(replicas[2]), 'ready without its node')
    for replica in replicas[:2]:
        claim(replica, provider)
    cluster.heal()
    services.await_true(lambda: used() == [{'VCPU': 5}] * 3, 'a node has not caught up')
    services.await_true(lambda: ready(replicas[2]), 'not ready with its node')

    # One node is suspended: the others go on as soon as they have shut it out.
    cluster.nodes[1].suspend()
    for replica in (replicas[0], replicas[2]):
        claim(replica, provider)
    cluster.heal()
    services.await_true(lambda: used() == [{'VCPU': 7}] * 3, 'a node has not caught up')

    # All are killed: no answered claim is lost.
    for node in cluster.nodes:
        node.kill()
    cluster.heal()
    services.await_true(lambda: used() == [{'VCPU': 7}] * 3, 'a claim is lost')
    for replica in replicas:
        claim(replica, provider)
    services.await_true(lambda: used() == [{'VCPU': 10}] * 3, 'a claim is not seen on each node')


def test_a_write_through_one_node_is_seen_through_each(cluster, replicas):
    clients = [Api(replica.url) for replica in replicas]
    for number in range(60):
        name = str(uuid.uuid4())
        clients[number % 3]('POST', '/resource_providers', {'name': name, 'uuid': name})
        for client in clients:
            assert client.send('GET', f'/resource_providers/{name}').status_code == 200
            assert client('GET', f'/resource_providers?name={name}')['resource_providers']


def test_services_on_all_nodes_may_start_at_once(cluster, tmp_path, monkeypatch):
    """Each makes the schema; a lock of MariaDB is one node's alone."""
    monkeypatch.setenv(*cluster.assignment())
    database = databases.Galera('at_once', tmp_path)
    database.create()
    together = []
    for number, node in enumerate(database.nodes):
        directory = tmp_path / f'service{number}'
        directory.mkdir()
        together.append(services.Service(directory, next(drivers.PORTS), node, {}))
    # A service is killed when the thread that started it ends.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        try:
            list(pool.map(lambda service: service.ensure_started(), together))
            for service in together:
                assert Api(service.url)('GET', '/traits')['traits']
        finally:
            for service in together:
                service.stop()
    database.drop()


def lost_connections(service):
    metrics = Api(service.url).send('GET', '/metrics').text
    return float(re.search(r'^allotment_database_connections_lost_total (\S+)', metrics, re.M)[1])


def test_writes_that_meet_between_nodes_run_again(cluster, replicas):
    """Each claim is a commit that conflicts with those of the other nodes; all are done, once each. A conflict often
    comes in the middle of a statement's rows, and the connection goes on working.
    """
    provider = load.make_provider(Api(replicas[0].url))
    before = [lost_connections(replica) for replica in replicas]

    def claim_often(number):
        for _ in range(30):
            claim(replicas[number % 3], provider)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        list(pool.map(claim_often, range(24)))
    for replica in replicas:
        assert Api(replica.url)('GET', f'/resource_providers/{provider}/usages')['usages'] == {'VCPU': 720}
    assert [lost_connections(replica) for replica in replicas] == before


def come_and_go(service, queue, times):
    """Takes tickets of a queue, and releases each at once. Returns how many of these changes were done for certain, and
    how many perhaps: the connection to the node ended during the COMMIT.
    """
    client, certain, perhaps = Api(service.url), 0, 0

    def change(method, path, body=None):
        nonlocal certain, perhaps
        # With so many clients, a change may meet others in each of its runs.
        while (answer := client.send(method, path, body)).status_code == 409:
            pass
        assert answer.is_success or answer.status_code == 503, answer.text
        certain += answer.is_success
        perhaps += not answer.is_success
        return answer

    for _ in range(times):
        answer = change('POST', queue, {'scope': 'host', 'id': 'work', 'lease_seconds': 600})
        if answer.is_success:
            change('DELETE', f'{queue}/{answer.json()["uuid"]}')
    return certain, perhaps


def test_no_transaction_is_done_by_half(cluster, replicas):
    """A cluster ends transactions that meet, and reports the end as the answer to a later command, some of which have
    no answer. No change of a queue is lost then: its generation counts the tickets that came and those that ended.
    """
    for each in replicas:
        services.await_true(lambda each=each: ready(each), 'a replica is not ready')
    queue = f'/resource_providers/{load.make_provider(Api(replicas[0].url))}/waitlist'
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        running = [pool.submit(come_and_go, replicas[number % 3], queue, 50) for number in range(12)]
        certain, perhaps = (sum(counts) for counts in zip(*(each.result() for each in running)))
    last = Api(replicas[0].url)('POST', queue, {'scope': 'host', 'id': 'work', 'lease_seconds': 600})
    # A ticket's position is the generation of its queue when it came.
    assert certain + 1 <= last['position'] <= certain + perhaps + 1
    assert perhaps <= 5
    assert perhaps or last['status'] == 'active', 'tickets that have ended are counted'


@pytest.fixture
def everywhere(cluster, tmp_path, monkeypatch):
    """A database whose URL names all nodes, and a user who has to obey read_only."""
    monkeypatch.setenv(*cluster.assignment())
    database = databases.Galera('everywhere', tmp_path)
    database.create()
    administer(cluster.nodes[0], f"CREATE USER {database.name}@localhost")
    administer(cluster.nodes[0], f"GRANT ALL ON {database.name}.* TO {database.name}@localhost")
    through = copy.copy(database)
    nodes = ','.join(f'127.0.0.1:{node.port}' for node in cluster.nodes)
    through.url = f'mysql://{database.name}@{nodes}/{database.name}'
    yield through
    cluster.heal()
    administer(cluster.nodes[0], f"DROP USER {database.name}@localhost")
    database.drop()


def administer(node, statement):
    with contextlib.closing(pymysql.connect(host='127.0.0.1', port=node.port, user='root')) as connection:
        connection.cursor().execute(statement)


def test_a_service_goes_on_through_another_node(cluster, everywhere, tmp_path):
    first, second, third = cluster.nodes
    service = services.Service(tmp_path, next(drivers.PORTS), everywhere, {})
    service.ensure_started()
    try:
        with load.Load(service.url, clients=4) as crowd:
            crowd.await_answers()
            first.kill()
            crowd.await_answers()
            service.await_log(f'host 127.0.0.1:{first.port} is left out')
            cluster.heal()

            # The connections lead to the second node now.
            administer(second, 'SET GLOBAL read_only = ON')
            crowd.await_answers()
            service.await_log('a host of the database has become read-only')
            administer(second, 'SET GLOBAL read_only = OFF')

            # A node alone is not a cluster, and refuses statements. The service is ready again once the nodes are.
            for node in (first, third):
                node.suspend()
            services.await_true(lambda: not ready(service), 'ready without a cluster')
            # A request waits for a node, but not for ever.
            services.await_true(lambda: crowd.refused('GET') + crowd.refused('PUT'), 'nothing is refused')
            cluster.heal()
            crowd.await_answers()
            services.await_true(lambda: ready(service), 'not ready with a cluster')
        crowd.check(everywhere)
    finally:
        service.stop()
