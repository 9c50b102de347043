"""The work of no request grows with the fleet, even where the database's statistics are those of empty tables.

The requests are those of the API reference, which has each operation with its
successes and its refusals. The rows are counted that the database reads, and
no time is measured.
"""

import concurrent.futures
import contextlib
import json
import pathlib
import subprocess
import sys
import uuid

import databases
import drivers
import fleet
import machines
import pytest
import service as services
import work
from api import Api

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'api-ref'))
import exchanges  # noqa: E402
import scenario  # noqa: E402

SMALL, LARGE = 300, 3000
# A list of tickets of all providers.
LISTS = {'tickets-list'}
# The number of clients that claim, each from a host of its own.
CLIENTS = 24
# How many of the requests are sent at the same time.
WAYS = {'one by one': 1, 'at once': CLIENTS}


@pytest.fixture(params=work.KINDS)
def kind(request):
    return work.KINDS[request.param]


@pytest.fixture
def server(kind, monkeypatch):
    """A database server of the test's own, since other tests would be counted too. None for SQLite."""
    if kind.machine is None:
        yield None
        return
    with machines.started(kind.machine, kind.options) as server:
        monkeypatch.setenv(*server.assignment())
        yield server


def counted(kind, server, database, directory, hosts):
    """The work for each step of the API reference, by the step's name."""
    directory.mkdir()
    door = f'127.0.0.1:{next(drivers.PORTS)}'
    service = services.Service(directory, next(drivers.PORTS), database, {
        'log': 'info,allotment::sql=trace', 'auth': {'strategy': 'noauth2'}, 'policy': {'enforce_new_defaults': False},
        'placement': {'recheck_seconds': 3600}, 'waitlist': {'cnapi_listen': door, 'recheck_seconds': 3600}})
    service.ensure_started()
    try:
        counter = kind(server, database, service)
        recorder = exchanges.Recorder(service.url, f'http://{door}')
        # Without this, the recorder takes the fleet's uuids for uuids that the service has made up.
        recorder.said = ' '.join(fleet.uuids(hosts))
        found = {}
        for step in scenario.steps():
            with counter.counting() as of_step:
                status, _, text = recorder.send(
                    step.method, step.target, exchanges.request_headers(step), step.body)
            assert status == step.status, f'{step.name}: {text}'
            found[step.name] = of_step
        return found
    finally:
        service.stop()


@pytest.fixture
def of_fleet(kind, server, tmp_path, migrate):
    """Returns a function that counts work, by another function, beside a fleet of this many hosts."""
    name = next(name for name, each in work.KINDS.items() if each is kind)

    def count(hosts, counted):
        database = databases.KINDS[name](f'growth_{hosts}', tmp_path)
        with contextlib.ExitStack() as stack:
            database.create()
            stack.callback(database.drop)
            migrate(database.url)
            fleet.fill(database, hosts)
            found = counted(kind, server, database, tmp_path / f'of_{hosts}', hosts)
            assert kind.has_old_statistics(database)
            return found

    return count


def counted_after_restart(kind, server, database, directory, hosts):
    """The work for claims and their ends. The database server has started anew, so that it knows of no row that was
    written since its statistics were taken."""
    server.stop()
    server.start()
    server.wait_until_ready()
    directory.mkdir()
    service = services.Service(directory, next(drivers.PORTS), database, {
        'auth': {'strategy': 'noauth2'}, 'placement': {'recheck_seconds': 3600}})
    service.ensure_started()
    found = {}
    try:
        counter = kind(server, database, service)
        for name, clients in WAYS.items():
            consumers = [str(uuid.uuid4()) for _ in range(CLIENTS)]
            for method in ('PUT', 'DELETE'):
                with counter.counting() as of_requests:
                    assert set(allocations(service.url, clients, method, consumers)) == {204}
                found[f'{method} {name}'] = of_requests
        return found
    finally:
        service.stop()


def allocations(url, clients, method, consumers):
    """Claims for these consumers, or deletes them; returns the statuses."""
    def send(number, consumer):
        body = scenario.claim((fleet.host_uuid(number), {name: used for name, (_, used) in fleet.CLASSES.items()}))
        return Api(url).send(method, f'/allocations/{consumer}', body if method == 'PUT' else None).status_code

    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        return list(threads.map(send, range(1, len(consumers) + 1), consumers))


@pytest.mark.parametrize('kind', ['mysql'], indirect=True)
def test_claims_read_no_more_rows_after_a_restart(kind, of_fleet):
    small, large = (of_fleet(hosts, counted_after_restart) for hosts in (SMALL, LARGE))
    grown = [f'{name}: {small[name].work}, then {large[name].work}' for name in small
             if abs(large[name].work - small[name].work) > kind.margin * CLIENTS]
    assert not grown, '\n'.join(grown)


def test_no_request_reads_more_rows_in_a_larger_fleet(kind, of_fleet):
    small, large = of_fleet(SMALL, counted), of_fleet(LARGE, counted)
    # Reads of one provider are counted at all.
    assert small['claim'].work > small['provider-show'].work > 0
    grown = [f'{name}: {small[name].work}, then {large[name].work}; {large[name].most}' for name in small
             if abs(large[name].work - small[name].work) > kind.margin and name not in LISTS]
    assert not grown, '\n'.join(grown)


def test_each_operation_is_counted():
    document = json.loads(subprocess.run([drivers.binary(), 'openapi'], capture_output=True, check=True).stdout)
    known = {f'{method.upper()} {path}' for path, methods in document['paths'].items()
             for method in methods if method != 'parameters'}
    assert known - {step.operation for step in scenario.steps()} == set()
