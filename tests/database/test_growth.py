"""The work of no request grows with the fleet, even where the database's statistics are those of empty tables.

The requests are those of the API reference, which has each operation with its
successes and its refusals. The rows are counted that the database reads, and
no time is measured.
"""

import contextlib
import json
import pathlib
import subprocess
import sys

import databases
import drivers
import fleet
import machines
import pytest
import service as services
import work

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'api-ref'))
import exchanges  # noqa: E402
import scenario  # noqa: E402

SMALL, LARGE = 300, 3000
# A list of tickets of all providers.
LISTS = {'tickets-list'}


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
    """Returns a function that counts the work of all steps beside a fleet of this many hosts."""
    name = next(name for name, each in work.KINDS.items() if each is kind)

    def count(hosts):
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


def test_no_request_reads_more_rows_in_a_larger_fleet(kind, of_fleet):
    small, large = of_fleet(SMALL), of_fleet(LARGE)
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
