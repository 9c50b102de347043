"""Three replicas in a storm: 64 clients, and a fault every few seconds. A checker reads the history afterwards.

The storm is drawn from a seed, which a failure shows: STORM_SEED=… draws the
same clients and faults. STORM_SECONDS says how long the storm lasts on each
database. The history stays in target/storm.
"""

import asyncio
import collections
import os
import pathlib
import random
import shutil
import threading
import time

import checker
import clusters
import crowd
import drivers
import ending
import faults
import history
import places
import pytest
import world as worlds

SECONDS = float(os.environ.get('STORM_SECONDS', '60'))
SEED = int(os.environ.get('STORM_SEED', random.randrange(2**32)))
CLIENTS = int(os.environ.get('STORM_CLIENTS', '64'))
RESULTS = pathlib.Path(__file__).resolve().parents[2] / 'target' / 'storm'
SHOWN = 20
# The seconds in which the last requests of each client are answered, far more than they should take.
PATIENCE = 300


PLACES = {place.name: place for place in (places.OnPostgreSql, places.OnMariaDb, clusters.OnGalera)}


@pytest.fixture(params=os.environ.get('STORM_ON', 'postgres').split())
def place(request, tmp_path, monkeypatch):
    made = PLACES[request.param](tmp_path)
    # The address of the servers is put there.
    monkeypatch.setenv(made.kind.variable, '')
    try:
        made.start()
        yield made
    finally:
        made.stop()


def weather(place, world, records, rng):
    """Lets the clients and the faults go on for the time of the storm; returns the complaints of the faults."""
    clients = crowd.Crowd(world, [replica.port for replica in place.replicas], SEED, records)
    thread = threading.Thread(target=lambda: asyncio.run(clients.run(CLIENTS, SECONDS)), daemon=True)
    thread.start()
    made = faults.Faults(place, rng, records)
    made.run(lambda: clients.is_over)
    place.heal()
    thread.join(PATIENCE)
    assert not thread.is_alive(), 'a request is not answered'
    return made.complaints


def summary(records):
    """The number of requests by kind and answer, for a reader of the log."""
    counts = collections.Counter((record['kind'], record.get('fault') or record.get('status')) for record in records)
    return ', '.join(f'{kind} {status}: {count}' for (kind, status), count in sorted(counts.items(), key=str))


def test_storm(place, driver):
    if driver is drivers.UpstreamServer:
        pytest.skip('it has no waitlist')
    print(f'STORM_SEED={SEED}')
    rng = random.Random(SEED)
    world = worlds.make(place.replicas[0].url, CLIENTS, rng)
    records = []
    complaints = weather(place, world, records, rng)
    end = ending.collect(place, world, complaints)
    directory = RESULTS / place.name
    shutil.rmtree(directory, ignore_errors=True)
    history.save(directory, world, records, end)
    for name, log in place.logs().items():
        shutil.copy(log, directory / f'{name}.log')
    print(f'{len(records)} records in {directory}, {time.process_time():.0f} s of CPU: {summary(records)}')
    answered = {record['kind'] for record in records if (record.get('status') or 503) < 300}
    assert answered == set(checker.STATUSES), 'some kind of request was never answered'
    findings = checker.check(*history.load(directory))
    assert not findings, '\n'.join([
        f'STORM_SEED={SEED}: {len(findings)} findings, '
        f'{dict(collections.Counter(finding.rule for finding in findings))}', *map(str, findings[:SHOWN])])
