"""The loop on the page of generations, run by many at once."""

import concurrent.futures
import os
import subprocess
import sys
import uuid

import api
import built
import drivers
import pytest

PROGRAM = built.ROOT / 'examples' / 'ensure_trait.py'
CLIENTS = 8


def run(url, provider, trait):
    return subprocess.run([sys.executable, PROGRAM, provider, trait], capture_output=True, text=True,
                          timeout=120, env={**os.environ, 'PLACEMENT_URL': url, 'NO_PROXY': '*'})


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_no_trait_is_lost_among_many_writers(serve, database):
    client = api.Api(serve(drivers.AllotmentServer).url)
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    traits = [f'CUSTOM_{number}' for number in range(CLIENTS)]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda trait: run(str(client.client.base_url).rstrip('/'), provider, trait),
                             traits))
    assert [(run.returncode, run.stdout, run.stderr) for run in done] == [(0, 'added\n', '')] * CLIENTS
    found = client('GET', f'/resource_providers/{provider}/traits')
    assert sorted(found['traits']) == traits
    # Each trait took one write that went through, and none went through unseen.
    assert found['resource_provider_generation'] == CLIENTS
