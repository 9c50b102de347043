"""The openstack command, used as a person would, against a live server."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

import pytest

COMMAND = pathlib.Path(sys.executable).with_name('openstack')


class Refused(Exception):
    """The command exited with an error; the text is what a person sees."""


class Openstack:
    def __init__(self, url):
        self.url = url

    def __call__(self, *arguments, version='1.39'):
        """Run a command of the plugin; returns its output as JSON, if any."""
        formats = [] if arguments[-1] == 'no-output' else ['-f', 'json']
        arguments = [item for item in arguments if item != 'no-output']
        done = subprocess.run(
            [COMMAND, '--os-auth-type', 'admin_token',
             '--os-endpoint', self.url, '--os-token', 'admin',
             '--os-placement-api-version', version, *arguments, *formats],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, env=environment())
        if done.returncode:
            raise Refused(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None


def environment():
    """Ours, without credentials that a developer may have set."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith('OS_')}
    return {**kept, 'NO_PROXY': '127.0.0.1', 'no_proxy': '127.0.0.1'}


@pytest.fixture
def openstack(serve, driver):
    return Openstack(serve(driver).url)


def rows(found, *columns):
    return sorted(tuple(row[column] for column in columns) for row in found)


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_a_scheduler_by_hand(openstack):
    # A tree: a host with a GPU.
    host = openstack('resource', 'provider', 'create', 'host')
    gpu = openstack('resource', 'provider', 'create', 'gpu',
                    '--parent-provider', host['uuid'])
    assert gpu['parent_provider_uuid'] == host['uuid']
    assert gpu['root_provider_uuid'] == host['uuid']
    listed = openstack('resource', 'provider', 'list', '--in-tree',
                       gpu['uuid'])
    assert rows(listed, 'name') == [('gpu',), ('host',)]

    # The resources to claim.
    openstack('resource', 'class', 'set', 'CUSTOM_GPU_SLICE', 'no-output')
    openstack('resource', 'provider', 'inventory', 'set', host['uuid'],
              '--resource', 'VCPU=8', '--resource', 'VCPU:allocation_ratio=2',
              '--resource', 'MEMORY_MB=4096')
    openstack('resource', 'provider', 'inventory', 'set', gpu['uuid'],
              '--resource', 'CUSTOM_GPU_SLICE=2')
    inventories = openstack('resource', 'provider', 'inventory', 'list',
                            host['uuid'])
    assert rows(inventories, 'resource_class', 'total', 'allocation_ratio') == [
        ('MEMORY_MB', 4096, 1.0), ('VCPU', 8, 2.0)]

    # The traits of the provider.
    openstack('trait', 'create', 'CUSTOM_QUIET', 'no-output')
    openstack('resource', 'provider', 'trait', 'set', gpu['uuid'],
              '--trait', 'CUSTOM_QUIET', '--trait', 'HW_GPU_API_VULKAN')
    traits = openstack('resource', 'provider', 'trait', 'list', gpu['uuid'])
    assert rows(traits, 'name') == [('CUSTOM_QUIET',), ('HW_GPU_API_VULKAN',)]

    # Two consumers.
    first, second, third = (str(uuid.uuid4()) for _ in range(3))
    owner = ['--project-id', 'red', '--user-id', 'alice',
             '--consumer-type', 'INSTANCE']
    openstack('resource', 'provider', 'allocation', 'set', first,
              '--allocation', f'rp={host["uuid"]},VCPU=10,MEMORY_MB=1024',
              '--allocation', f'rp={gpu["uuid"]},CUSTOM_GPU_SLICE=1', *owner)
    openstack('resource', 'provider', 'allocation', 'set', second,
              '--allocation', f'rp={host["uuid"]},VCPU=4', *owner)
    shown = openstack('resource', 'provider', 'allocation', 'show', first)
    assert {row['resource_provider']: row['resources'] for row in shown} == {
        host['uuid']: {'VCPU': 10, 'MEMORY_MB': 1024},
        gpu['uuid']: {'CUSTOM_GPU_SLICE': 1}}
    assert {row['consumer_type'] for row in shown} == {'INSTANCE'}

    # How much of it is used.
    usages = openstack('resource', 'provider', 'usage', 'show', host['uuid'])
    assert rows(usages, 'resource_class', 'usage') == [
        ('MEMORY_MB', 1024), ('VCPU', 14)]
    usages = openstack('resource', 'usage', 'show', 'red', version='1.37')
    assert rows(usages, 'resource_class', 'usage') == [
        ('CUSTOM_GPU_SLICE', 1), ('MEMORY_MB', 1024), ('VCPU', 14)]

    # 2 of 16 are left: 3 are refused, in words, and nothing is changed.
    with pytest.raises(Refused) as refused:
        openstack('resource', 'provider', 'allocation', 'set', third,
                  '--allocation', f'rp={host["uuid"]},VCPU=3', *owner)
    message = str(refused.value)
    assert 'Unable to allocate inventory' in message
    assert 'VCPU' in message and host['uuid'] in message
    assert 'capacity' in message and 'HTTP 409' in message
    assert not openstack('resource', 'provider', 'allocation', 'show', third)

    # An inventory in use cannot be deleted; a free inventory can.
    with pytest.raises(Refused, match='in use'):
        openstack('resource', 'provider', 'inventory', 'delete',
                  host['uuid'], '--resource-class', 'VCPU', 'no-output')
    openstack('resource', 'provider', 'allocation', 'delete', first,
              'no-output')
    openstack('resource', 'provider', 'inventory', 'delete', gpu['uuid'],
              '--resource-class', 'CUSTOM_GPU_SLICE', 'no-output')
    openstack('resource', 'provider', 'delete', gpu['uuid'], 'no-output')
    assert rows(openstack('resource', 'provider', 'list'), 'name') == [
        ('host',)]
