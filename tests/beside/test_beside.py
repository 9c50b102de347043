"""Each of two servers on a database shows what the other one answered: upstream Placement's, and ours."""

import os

import pytest
import worlds
from driver import Driver
from waiting import PATIENCE

STEPS = int(os.environ.get('BESIDE_STEPS', '300'))
on_servers = pytest.mark.parametrize('database', ['postgres', 'mysql'], indirect=True)


@on_servers
def test_each_shows_at_once_what_the_other_answered(with_triggers, database):
    seed = worlds.seed()
    print(f'ALLOTMENT_TEST_SEED={seed} BESIDE_STEPS={STEPS}')
    ours, upstream = with_triggers
    driver = Driver(ours.url, upstream.url, database, seed)
    driver.run(STEPS)
    print(dict(driver.counts))
    assert driver.late == 0
    assert driver.counts['SQL'] and driver.counts['PUT refused'] and driver.counts['looks'] > STEPS


@on_servers
def test_the_sweep_finds_it_later(with_sweep, database):
    seed = worlds.seed()
    print(f'ALLOTMENT_TEST_SEED={seed}')
    ours, upstream = with_sweep
    driver = Driver(ours.url, upstream.url, database, seed, patience=PATIENCE)
    driver.run(STEPS // 10)
    print(dict(driver.counts))
