"""The files in contrib/ are sound."""

import io
import pathlib
import re
import shutil
import subprocess
import tomllib

import dockerfile_parse
import drivers
import httpx
import pytest
from service import await_true

CONTRIB = pathlib.Path(__file__).resolve().parents[2] / 'contrib'
PROJECT = CONTRIB.parent


def await_ready(directory, arguments, environment, admin):
    """Starts the program in a directory, and waits until health says that it is ready."""
    with open(directory / 'log', 'wb') as log:
        process = subprocess.Popen(
            [drivers.binary(), *arguments], cwd=directory, env={**drivers.environment(), **environment},
            stdout=log, stderr=log, preexec_fn=drivers.end_with_parent)
    try:
        def healthy():
            assert process.poll() is None, (directory / 'log').read_text()
            try:
                answer = httpx.get(f'http://127.0.0.1:{admin}/healthcheck?ready', trust_env=False)
            except httpx.TransportError:
                return False
            return answer.status_code == 200
        await_true(healthy, 'not ready')
    finally:
        process.kill()
        process.wait()
    return (directory / 'log').read_text()


def test_the_example_settings_are_taken(tmp_path):
    """As they stand, and with what is commented out: no key is unknown."""
    example = (CONTRIB / 'allotment.toml').read_text()
    full = re.sub(r'^# (\w+ = )', r'\1', example, flags=re.M)
    # Each of the databases in turn, and no files that are not there.
    full = re.sub(r'^url = "(?:postgres|mysql).*$', '', full, flags=re.M)
    assert tomllib.loads(full)['tls']['key'] and tomllib.loads(full)['admin']['listen']
    full = re.sub(r'^(cert|key|file) = .*$', '', full, flags=re.M)
    for number, text in enumerate([example, full]):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / 'allotment.toml').write_text(text)
        port, admin = next(drivers.PORTS), next(drivers.PORTS)
        environment = {'ALLOTMENT_LISTEN': f'127.0.0.1:{port}', 'ALLOTMENT_ADMIN__LISTEN': f'127.0.0.1:{admin}'}
        await_ready(directory, ['serve', '--config', 'allotment.toml'], environment, admin)


def examples():
    """The environment of each `podman run` in the Containerfile: the image's own and what is added."""
    text = (CONTRIB / 'Containerfile').read_text()
    own = dict(re.findall(r'(ALLOTMENT_\w+)=(\S+)', re.search(r'^ENV (.*?)(?<!\\)\n', text, re.M | re.S)[1]))
    commands = re.sub(r' \\\n#', '', text)
    found = [{**own, **dict(re.findall(r'-e (ALLOTMENT_\w+)=(\S+)', line))}
             for line in commands.splitlines() if line.startswith('#   podman run')]
    assert own and len(found) == 2
    return found


@pytest.mark.parametrize('number', [0, 1])
def test_the_examples_of_the_containerfile_start(tmp_path, number):
    environment = examples()[number]
    port, admin = next(drivers.PORTS), next(drivers.PORTS)
    # The service listens on all interfaces, as in the example, but on free ports and with a database that
    # exists.
    for name, own, free in (('LISTEN', 8778, port), ('ADMIN__LISTEN', 9778, admin)):
        assert environment[f'ALLOTMENT_{name}'] == f'0.0.0.0:{own}'
        environment[f'ALLOTMENT_{name}'] = f'0.0.0.0:{free}'
    if 'ALLOTMENT_DATABASE__URL' in environment:
        environment['ALLOTMENT_DATABASE__URL'] = f'sqlite:{tmp_path}/allotment.db'
    # The settings are those that the image has.
    log = await_ready(tmp_path, ['serve', '--config', str(CONTRIB / 'allotment.toml')], environment, admin)
    assert f'listening on http://0.0.0.0:{port}' in log and 'not read' not in log


def test_the_example_shows_the_defaults():
    """The example's values are the defaults of docs/configuration.md, which are those of the code."""
    example = tomllib.loads((CONTRIB / 'allotment.toml').read_text())
    page = (PROJECT / 'docs' / 'configuration.md').read_text()
    rows = dict(re.findall(r'^\| `([\w.]+)` \| `([^`]*)`', page, re.M))

    flat = {k: v for k, v in example.items() if not isinstance(v, dict)}
    flat |= {f'{t}.{k}': v for t, table in example.items() if isinstance(table, dict)
             for k, v in table.items()}
    assert flat
    for key, value in flat.items():
        assert tomllib.loads(f'value = {rows[key]}')['value'] == value, key


def unit():
    """The unit's settings: a list of values for each key."""
    found = {}
    for line in (CONTRIB / 'allotment.service').read_text().splitlines():
        if '=' in line and not line.startswith('#'):
            key, value = line.split('=', 1)
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_is_hardened():
    found = unit()
    for key in ('NoNewPrivileges', 'DynamicUser', 'PrivateTmp', 'PrivateDevices', 'LockPersonality',
                'MemoryDenyWriteExecute', 'ProtectKernelTunables', 'RestrictSUIDSGID'):
        assert found[key] == ['yes'], key
    assert found['ProtectSystem'] == ['strict'] and found['CapabilityBoundingSet'] == ['']
    assert found['Type'] == ['notify'] and 'LimitNOFILE' in found
    # The credentials may be missing.
    loaded = {value.partition(':')[0] for value in found['LoadCredential']}
    assert loaded == {value.partition(':')[0] for value in found['SetCredential']} == {'tls.cert', 'tls.key'}
    # It stops before systemd loses patience.
    example = tomllib.loads((CONTRIB / 'allotment.toml').read_text())
    limits = example['limits']
    assert int(found['TimeoutStopSec'][0]) > limits['drain_seconds'] + limits['shutdown_seconds']


@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='systemd-analyze is not installed')
def test_the_unit_is_verified(tmp_path):
    # It verifies that the program is there, so it is given one that is.
    text = (CONTRIB / 'allotment.service').read_text()
    copy = tmp_path / 'allotment.service'
    copy.write_text(text.replace('/usr/bin/allotment', drivers.binary()))
    ended = subprocess.run(['systemd-analyze', 'verify', '--man=no', copy], capture_output=True, text=True)
    assert ended.returncode == 0 and not ended.stderr, ended.stderr


def test_the_containerfile():
    parser = dockerfile_parse.DockerfileParser(
        fileobj=io.BytesIO((CONTRIB / 'Containerfile').read_bytes()))
    steps = [(step['instruction'], step['value']) for step in parser.structure
             if step['instruction'] != 'COMMENT']
    known = {'FROM', 'RUN', 'WORKDIR', 'COPY', 'USER', 'VOLUME', 'EXPOSE', 'ENV', 'ENTRYPOINT', 'CMD'}
    assert {name for name, _ in steps} <= known
    # Two stages, of images whose version is told.
    assert parser.is_multistage and len(parser.parent_images) == 2
    for image in parser.parent_images:
        assert re.fullmatch(r'[\w./-]+:[\w.-]*(\d|trixie)[\w.-]*', image) and 'latest' not in image
    last = steps[[name for name, _ in steps].index('FROM', 1):]
    users = [value for name, value in last if name == 'USER']
    assert users and users[-1] not in ('0', 'root')
    for name, value in steps:
        if name == 'RUN' and 'apt-get install' in value:
            assert '--no-install-recommends' in value and 'rm -rf /var/lib/apt/lists' in value
        if name in ('ENTRYPOINT', 'CMD'):
            assert value.startswith('["')
        if name == 'COPY' and '--from' not in value:
            for source in value.split()[:-1]:
                assert (PROJECT / source).exists(), source
    # The compiler is one that the project builds with.
    minimum = tomllib.loads((PROJECT / 'Cargo.toml').read_text())['package']['rust-version']
    image = re.search(r':(\d+)\.(\d+)', parser.parent_images[0])
    assert tuple(map(int, image.groups())) >= tuple(map(int, minimum.split('.')))
