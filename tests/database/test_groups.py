"""Claims that wait at the same time on MariaDB are written by one transaction, each with an answer of its own.

Transactions by hand hold the rows of some hosts. Claims on these hosts take all
places for shared transactions, so all later claims wait, and share the next one.
"""

import concurrent.futures
import contextlib
import time
import uuid

import drivers
import pytest
import service as services
from api import Api

# As many transactions with shared claims run at the same time.
AT_ONCE = 4
HOSTS = 12
# The statements of a shared transaction that wait for the rows of providers, and for those of consumers.
SWAP, LOCK = 'UPDATE resource_providers FORCE INDEX', 'SELECT c.uuid, a.resource_provider_id FROM consumers'
AMOUNTS = {'VCPU': 2, 'MEMORY_MB': 512, 'DISK_GB': 10}

pytestmark = pytest.mark.parametrize('database', ['mysql'], indirect=True)


@pytest.fixture
def service(tmp_path, database):
    made = services.Service(tmp_path, next(drivers.PORTS), database, {
        'log': 'info,allotment::sql=trace', 'auth': {'strategy': 'noauth2'}})
    made.ensure_started()
    yield made
    made.stop()


@pytest.fixture
def hosts(service):
    """Hosts with room for four claims each; the consumers' project and user are known."""
    api, made = Api(service.url), []
    for number in range(HOSTS + AT_ONCE):
        host = api('POST', '/resource_providers', {'name': f'host{number}'})['uuid']
        api('PUT', f'/resource_providers/{host}/inventories', {
            'resource_provider_generation': 0,
            'inventories': {name: {'total': 4 * amount} for name, amount in AMOUNTS.items()}})
        made.append(host)
    first = str(uuid.uuid4())
    api('PUT', f'/allocations/{first}', claim(made[0]))
    api('DELETE', f'/allocations/{first}')
    return made


def claim(*hosts, amounts=AMOUNTS, generation=None, project='red'):
    return {'allocations': {host: {'resources': amounts} for host in hosts}, 'project_id': project, 'user_id': 'alice',
            'consumer_generation': generation, 'consumer_type': 'INSTANCE'}


class Crowd:
    """Sends requests at the same time, each over a connection of its own."""

    def __init__(self, service):
        self.service = service
        self.threads = concurrent.futures.ThreadPoolExecutor(64)

    def send(self, method, path, body=None):
        return self.threads.submit(lambda: Api(self.service.url).send(method, path, body))

    def claim(self, body, consumer=None):
        return self.send('PUT', f'/allocations/{consumer or uuid.uuid4()}', body)


@contextlib.contextmanager
def held(database, table, uuids):
    """Holds these rows of a table."""
    with contextlib.closing(database._connect()) as connection:
        listed = ', '.join(f"'{uuid}'" for uuid in uuids)
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT id FROM {table} WHERE uuid IN ({listed}) FOR UPDATE')
        yield
        connection.rollback()


@contextlib.contextmanager
def waiting(service, sends, statement):
    """Sends requests that wait for rows by this statement, until they take all places for shared transactions."""
    sent = []
    for send in sends:
        before = service.log().count(statement)
        sent.append(send())
        services.await_true(lambda before=before: service.log().count(statement) > before, 'no request waits')
    yield sent


def arrive():
    """Requests that were sent arrive in this time. A request that comes later has a transaction of its own."""
    time.sleep(1)


def used(service, host):
    return Api(service.url)('GET', f'/resource_providers/{host}/usages')['usages']


def generation(service, host):
    return Api(service.url)('GET', f'/resource_providers/{host}')['generation']


def statuses(answers):
    return [answer.result().status_code for answer in answers]


def test_claims_that_wait_share_a_transaction(service, database, hosts):
    crowd, blocked, free = Crowd(service), hosts[:AT_ONCE], hosts[AT_ONCE:]
    before = [generation(service, host) for host in free]
    with held(database, 'resource_providers', blocked), \
            waiting(service, [lambda host=host: crowd.claim(claim(host)) for host in blocked], SWAP) as first:
        # Two claims on each host, and one on two hosts.
        good = [crowd.claim(claim(host)) for host in free for _ in range(2)] + [crowd.claim(claim(*free[:2]))]
        large = crowd.claim(claim(free[0], amounts={'VCPU': 9}))
        alien = crowd.claim(claim(free[1], project='blue'))
        # A claim with a generation does not wait for the others.
        stale = crowd.claim(claim(free[2], generation=7)).result()
        assert (stale.status_code, stale.json()['errors'][0]['code']) == (409, 'placement.concurrent_update')
        arrive()
        place = len(service.log())
        assert not any(answer.done() for answer in good)
    assert statuses(first + good) == [204] * (AT_ONCE + len(good))
    assert statuses([large, alien]) == [409, 204]
    assert large.result().json()['errors'][0]['code'] == 'placement.undefined_code'
    # One transaction moves the generations of all hosts; there is one more if a claim came late.
    assert service.log()[place:].count(SWAP) <= 2
    claims = [2] * len(free)
    claims[0] += 1
    claims[1] += 2
    assert [used(service, host) for host in free] == [
        {name: number * amount for name, amount in AMOUNTS.items()} for number in claims]
    assert [generation(service, host) for host in free] == [
        number + of_host for number, of_host in zip(before, claims, strict=True)]


def test_of_claims_that_share_a_transaction_as_many_succeed_as_fit(service, database, hosts):
    crowd, blocked, host = Crowd(service), hosts[:AT_ONCE], hosts[-1]
    with held(database, 'resource_providers', blocked), \
            waiting(service, [lambda host=host: crowd.claim(claim(host)) for host in blocked], SWAP):
        answers = [crowd.claim(claim(host)) for _ in range(10)]
        same = str(uuid.uuid4())
        answers_of_one = [crowd.claim(claim(hosts[-2]), same) for _ in range(3)]
        arrive()
    assert sorted(statuses(answers)) == [204] * 4 + [409] * 6
    assert sorted(statuses(answers_of_one)) == [204, 409, 409]
    assert used(service, host) == {name: 4 * amount for name, amount in AMOUNTS.items()}
    assert used(service, hosts[-2]) == AMOUNTS


def test_a_claim_that_waits_for_its_provider_delays_no_other_claim(service, database, hosts):
    crowd, blocked, busy, free = Crowd(service), hosts[:AT_ONCE], hosts[AT_ONCE], hosts[AT_ONCE + 1:]
    with held(database, 'resource_providers', [busy]):
        with held(database, 'resource_providers', blocked), \
                waiting(service, [lambda host=host: crowd.claim(claim(host)) for host in blocked], SWAP):
            # The project of the first claim has no row yet. The second claim is done with the others, and then alone.
            slow = [crowd.claim(claim(busy, project=project)) for project in ('blue', 'red')]
            good = [crowd.claim(claim(host)) for host in free]
            arrive()
        assert statuses(good) == [204] * len(good)
        assert not any(answer.done() for answer in slow)
    assert statuses(slow) == [204, 204]


@pytest.mark.parametrize('missing', [0, 1])
def test_ends_that_wait_share_a_transaction(service, database, hosts, missing):
    crowd = Crowd(service)
    consumers = [str(uuid.uuid4()) for _ in hosts]
    assert statuses([crowd.claim(claim(host), consumer)
                     for host, consumer in zip(hosts, consumers, strict=True)]) == [204] * len(hosts)
    blocked, free = consumers[:AT_ONCE], consumers[AT_ONCE:]

    def end(consumer):
        return crowd.send('DELETE', f'/allocations/{consumer}')

    with held(database, 'consumers', blocked), \
            waiting(service, [lambda consumer=consumer: end(consumer) for consumer in blocked],
                    LOCK):
        good = [end(consumer) for consumer in free]
        absent = [end(uuid.uuid4()) for _ in range(missing)]
        arrive()
        place = len(service.log())
    assert statuses(good) == [204] * len(good) and statuses(absent) == [404] * missing
    # There is one more transaction if a request came late.
    assert service.log()[place:].count('DELETE c, a FROM') <= 2 + AT_ONCE
    services.await_true(lambda: not database.query('SELECT 1 FROM allocations'), 'allocations are left')
    assert all(set(used(service, host).values()) == {0} for host in hosts)
