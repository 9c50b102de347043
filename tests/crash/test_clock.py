"""The wall clock of the service's host is set: leases count the time that passes."""

import email.utils
import glob
import time
import uuid

import api
import drivers
import httpx
import pytest
import waiting

LIBRARIES = glob.glob('/usr/lib/*/faketime/libfaketime.so.1')
STEP = 300


def server_by(clock, base):
    """A server of this class whose wall clock is off by what the file says."""
    class Server(base):
        extra_environment = {
            'LD_PRELOAD': LIBRARIES[0], 'FAKETIME_TIMESTAMP_FILE': str(clock),
            'FAKETIME_NO_CACHE': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'}
    return Server


def off(url):
    """By how much its wall clock is off, in seconds."""
    told = httpx.get(url + '/').headers['date']
    return email.utils.parsedate_to_datetime(told).timestamp() - time.time()


@pytest.mark.parametrize('step', [STEP, -STEP], ids=['forwards', 'backwards'])
@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_clock_is_set(serve, driver, database, tmp_path, step):
    if driver is drivers.UpstreamServer:
        pytest.skip('it has no waitlist')
    clock = tmp_path / 'clock'
    clock.write_text('+0')
    server = serve(server_by(clock, driver))
    client = api.Api(server.url)
    provider = str(uuid.uuid4())
    client('POST', '/resource_providers', {'name': provider, 'uuid': provider})
    queue = f'/resource_providers/{provider}/waitlist'

    def take(thing, seconds):
        return client('POST', queue, {'scope': 'vm', 'id': thing, 'lease_seconds': seconds})

    holder, next_one = take('held', STEP - 60), take('held', 60)
    soon, after = take('short', 5), take('short', 60)
    assert abs(off(server.url)) < STEP / 2
    clock.write_text(f'{step:+d}')
    waiting.until(lambda: abs(off(server.url) - step) < STEP / 2, 'a clock that is set')

    # A lease of five seconds ends although the clock was set backwards, and it ends those that have
    # ended, too.
    assert client('GET', f'{queue}/{after["uuid"]}?wait=true&timeout=50')['status'] == 'active'
    assert client('GET', f'{queue}/{soon["uuid"]}')['status'] == 'expired'
    assert client('GET', f'{queue}/{holder["uuid"]}')['status'] == 'active'
    assert client('GET', f'{queue}/{next_one["uuid"]}')['status'] == 'queued'
    # A lease that begins after that counts as well.
    last, turn = take('last', 1), take('last', 60)
    assert client('GET', f'{queue}/{turn["uuid"]}?wait=true&timeout=50')['status'] == 'active'
    assert client('GET', f'{queue}/{last["uuid"]}')['status'] == 'expired'
    renewed = client('PUT', f'{queue}/{holder["uuid"]}', {'generation': 1})
    assert holder['expires_at'] < renewed['expires_at']

    if database.url.startswith('sqlite:'):
        return
    # The service that starts anew has the database's time.
    server.stop()
    server.ensure_started()
    assert abs(off(server.url) - step) < STEP / 2
    assert client('GET', f'{queue}/{holder["uuid"]}')['status'] == 'active'
    soon, after = take('again', 1), take('again', 60)
    assert client('GET', f'{queue}/{after["uuid"]}?wait=true&timeout=50')['status'] == 'active'
    assert client('GET', f'{queue}/{holder["uuid"]}')['status'] == 'active'
