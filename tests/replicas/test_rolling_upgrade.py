"""An older build of the service beside this one on one database, as during a rolling upgrade.

ALLOTMENT_OLD_BIN is the program of the older build, of a release before the change feed. UPGRADE_SECONDS is the time for
which both are under load.
"""

import concurrent.futures
import os
import threading
import time

import drivers
import hosts
import httpx
import load
import pytest
import service as services
import upgrading
from api import Api
from service import await_true

pytestmark = [
    pytest.mark.skipif(not upgrading.OLD, reason='ALLOTMENT_OLD_BIN names no older build'),
    pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)]
SECONDS = float(os.environ.get('UPGRADE_SECONDS', '10'))
# One comparison of the picture with the database, and some time for it on a busy machine.
PATIENCE = 90


@pytest.fixture
def start(tmp_path, database):
    """Returns a function that starts a build with some settings."""
    started = []

    def run(kind, **tables):
        directory = tmp_path / f'service{len(started)}'
        directory.mkdir()
        started.append(kind(directory, next(drivers.PORTS), database, tables))
        started[-1].ensure_started()
        return started[-1]

    yield run
    for each in started:
        each.stop()


@pytest.fixture
def crowd():
    """Returns a function that begins a load on a service; all loads share one provider."""
    loads = []

    def begin(service, **options):
        made = load.Load(service.url, clients=2, **options)
        if loads:
            made.shared = loads[0].shared
            for client in made.clients:
                client.shared = made.shared
        loads.append(made.__enter__())
        return made

    yield begin
    for each in loads:
        each.__exit__()


def check_all(loads, services, database):
    """No answered write is lost or done twice, and all pictures come to be what the database says."""
    for each in loads:
        each.__exit__()
    held = load.allocated(database)
    for each in loads:
        wrong = [wrong for client in each.clients for wrong in client.wrong]
        assert not wrong, wrong
        assert each.answered > 0
        for client in each.clients:
            # The first of the services that are left is asked.
            client.api = Api(services[0].url)
            lost = client.losses(held)
            assert not lost, lost
    for service in services:
        load.await_picture(Api(service.url), database, PATIENCE)


def test_both_builds_work_under_load_for_the_whole_upgrade(start, crowd, database):
    older = start(upgrading.Older)
    before = crowd(older)
    before.await_answers()
    # The first one brings the schema up to date while the older one serves.
    newer = [start(services.Service), start(services.Service)]
    loads = [before, *(crowd(each) for each in newer)]
    for each in loads:
        each.await_answers()
    time.sleep(SECONDS)
    check_all(loads, [older, *newer], database)
    # The upgrade goes on: the older one stops while the others are under load.
    loads = [crowd(each) for each in newer]
    older.stop()
    for each in loads:
        each.await_answers()
    check_all(loads, newer, database)
    # And back: the older build starts on the new schema, and is alone in the end.
    older = start(upgrading.Older)
    loads = [crowd(older), crowd(newer[0])]
    newer[1].stop()
    for each in loads:
        each.await_answers()
    check_all(loads, [older, newer[0]], database)
    newer[0].stop()
    last = crowd(older)
    last.await_answers()
    check_all([last], [older], database)


def test_the_units_of_a_provider_are_claimed_once(start, database):
    """Many clients claim on one provider through both builds, to the last unit."""
    older = start(upgrading.Older)
    newer = start(services.Service)
    units = 240
    client = Api(older.url)
    provider = hosts.new_uuid()
    client('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    client('PUT', f'/resource_providers/{provider}/inventories', {
        'resource_provider_generation': 0, 'inventories': {'VCPU': {'total': units}}})

    def claim(number):
        """The number of claims that were answered until one was refused."""
        api, answered = Api([older, newer][number % 2].url), 0
        while True:
            answer = api.send('PUT', f'/allocations/{hosts.new_uuid()}', load.claim_body({provider: 1}))
            if answer.status_code == 409:
                assert 'capacity' in answer.text, answer.text
                return answered
            assert answer.status_code == 204, answer.text
            answered += 1

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answered = list(pool.map(claim, range(12)))
    assert sum(answered) == units
    assert sum(answered[::2]) and sum(answered[1::2]), answered
    assert load.stored(database)[provider][1] == units


def test_turns_pass_between_the_builds(start, database):
    """A queue with clients at both builds has one holder at a time, and all of them come to their turn."""
    services_ = [start(upgrading.Older), start(services.Service)]
    provider = load.make_provider(Api(services_[0].url))
    path = f'/resource_providers/{provider}/waitlist'
    working, fences = threading.Lock(), []

    def work(number):
        api = Api(services_[number % 2].url)
        other = Api(services_[(number + 1) % 2].url)
        made = api('POST', path, {'scope': 'host', 'id': 'work', 'lease_seconds': 600})
        ticket = httpx.get(f'{services_[number % 2].url}{path}/{made["uuid"]}?wait=true&timeout=600', timeout=600,
                           trust_env=False, headers={'x-auth-token': 'admin',
                                                     'openstack-api-version': 'placement 1.39'}).json()
        assert ticket['status'] == 'active'
        assert working.acquire(blocking=False), 'two hold the queue'
        fences.append(ticket['fence'])
        working.release()
        # The end goes through the other build.
        other('DELETE', f'{path}/{made["uuid"]}')

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(fences) == 8 and fences == sorted(set(fences))


def test_with_triggers_each_write_of_the_older_build_is_shown_at_once(start):
    older = start(upgrading.Older)
    newer = start(services.Service, database={'foreign_writers': 'triggers'}, placement={'recheck_seconds': 3600})
    await_true(lambda: httpx.get(newer.url + '/healthcheck?ready', trust_env=False).status_code == 200, 'not ready')
    reader, wrong = Api(newer.url), []
    for change, looks in hosts.CHANGES.items():
        for name in looks:
            host = hosts.Host(older.url)
            before = hosts.look(reader, name, host)
            change(host)
            seen, expected = hosts.look(reader, name, host), hosts.look(host.api, name, host)
            if seen != expected:
                wrong.append(f'{change.__name__}, {name}: {hosts.short(seen)}, not {hosts.short(expected)}')
            assert before != expected, f'{change.__name__} does not change {name}'
    assert not wrong, '\n'.join(wrong)
