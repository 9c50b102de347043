"""The server and Keystone: who the server is to it, where it finds it, and what happens without it."""

import datetime
import ipaddress
import json
import pathlib
import socket
import subprocess
import sys
import threading

import drivers
import httpx
import keystone_server
import openstack
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from waiting import until

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

COMMAND = pathlib.Path(sys.executable).with_name('openstack')


def refused_for_now(answer):
    assert answer.status_code == 503
    assert answer.json()['errors'][0]['status'] == 503
    return True


def test_keystone_goes_and_comes(placement, keystone, cloud):
    server = placement()
    known, unknown = (keystone.token('boss', project='lab') for _ in range(2))
    assert server.status('/traits', known) == 200
    keystone.stop()
    try:
        assert server.status('/traits', known) == 200
        for token in (unknown, 'garbage'):
            assert refused_for_now(server.ask('/traits', token))
        assert refused_for_now(server.ask('/traits', known, **{'x-service-token': unknown}))
        assert server.status('/traits', None) == 401
        assert server.status('/', unknown) == 200
    finally:
        keystone.start()
    assert server.status('/traits', unknown) == 200
    assert server.status('/traits', known) == 200
    assert server.status('/traits', 'garbage') == 401
    assert 'Keystone cannot be asked about a token' in server.log()


def test_the_server_may_start_before_keystone(placement, keystone, cloud):
    token = keystone.token('boss', project='lab')
    keystone.stop()
    try:
        server = placement()
        assert refused_for_now(server.ask('/traits', token))
        assert 'Keystone cannot be used, and no request can be let in before it can' in server.log()
    finally:
        keystone.start()
    assert server.status('/traits', token) == 200


def test_a_keystone_that_says_nothing(placement, keystone, cloud):
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        port = silent.getsockname()[1]
        server = placement(auth_url=f'http://127.0.0.1:{port}', timeout_seconds=1)
        assert refused_for_now(server.ask('/traits', 'a'))
        assert server.status('/', None) == 200
    assert 'no answer within 1 s' in server.log()


@pytest.mark.parametrize('answer', [
    b'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}',
    b'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
    b'HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n',
    b'HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}',
    b'HTTP/1.1 201 Created\r\nx-subject-token: t\r\ncontent-length: 2\r\n\r\n{}',
    b'HTTP/1.1 201 Created\r\nx-subject-token: t\r\ncontent-length: 99999999\r\n\r\n',
    b'no HTTP\r\n\r\n',
    b''])
def test_something_else_than_keystone(placement, keystone, cloud, answer):
    with socket.create_server(('127.0.0.1', 0)) as other:
        def serve():
            while True:
                try:
                    connection, _ = other.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        server = placement(auth_url=f'http://127.0.0.1:{other.getsockname()[1]}', timeout_seconds=5)
        assert refused_for_now(server.ask('/traits', 'a'))
        other.shutdown(socket.SHUT_RDWR)
    assert keystone_server.PASSWORD not in server.log()


def test_a_web_server_without_keystone_denies_no_token(placement, keystone, cloud):
    """Its 404 is no word of Keystone's about the token."""
    keystone.endpoint('identity', f'{keystone.url}/elsewhere', region='lost', interface='internal')
    server = placement(region_name='lost')
    assert refused_for_now(server.ask('/traits', keystone.token('boss', project='lab')))


@pytest.mark.parametrize('settings, words', [
    ({'username': 'powerless'}, '403: our own user may not validate tokens'),
    ({'password': 'hush-hush'}, 'it refuses our credentials'),
    ({'username': 'nobody'}, 'it refuses our credentials'),
    ({'project_name': 'lab'}, 'it refuses our credentials'),
    ({'region_name': 'nowhere'}, 'no internal endpoint of identity in region "nowhere"'),
])
def test_our_own_user_must_be_good_for_it(placement, keystone, cloud, settings, words):
    server = placement(**settings)
    token = keystone.token('boss', project='lab')
    assert refused_for_now(server.ask('/traits', token))
    # Keystone may say so much to anybody.
    assert server.status('/traits', 'garbage') in (401, 503)
    assert words in server.log()
    assert 'hush-hush' not in server.log() and token not in server.log()


def test_our_own_user_may_be_an_administrator_of_the_system(placement, keystone, cloud):
    server = placement(username='system_boss', project_name=None, system_scope='all')
    assert server.status('/traits', keystone.token('boss', project='lab')) == 200


def test_we_may_have_an_application_credential(placement, keystone, cloud):
    credential = keystone.application_credential(
        cloud.users['placement'], keystone.token('placement', project='service'))
    server = placement(username=None, password=None, project_name=None,
                       application_credential_id=credential['id'],
                       application_credential_secret=credential['secret'])
    assert server.status('/traits', keystone.token('boss', project='lab')) == 200
    assert server.status('/traits', 'garbage') == 401
    assert credential['secret'] not in server.log()


def test_our_own_token_is_got_again_once_it_is_refused(placement, keystone, cloud):
    server = placement(cache_seconds=0)
    token = keystone.token('boss', project='lab')
    assert server.status('/traits', token) == 200
    log_ins = keystone.requests().count('POST /v3/auth/tokens')
    assert server.status('/traits', token) == 200
    assert keystone.requests().count('POST /v3/auth/tokens') == log_ins
    # A user who is disabled loses all tokens.
    for enabled in (False, True):
        keystone('PATCH', f'/users/{cloud.users["placement"]}', {'user': {'enabled': enabled}})
    # In Keystone's eyes this goes also for those that it gives out within the same second.
    until(lambda: server.status('/traits', token) == 200, 'there is a new token')
    assert keystone.requests().count('POST /v3/auth/tokens') > log_ins


def test_our_own_token_is_renewed_before_its_end(placement, keystone, cloud):
    short = keystone.beside('short_own', expiration=3)
    server = placement(auth_url=short.url, cache_seconds=0)
    token = keystone.token('boss', project='lab')
    def renewed():
        assert server.status('/traits', token) == 200
        return short.requests().count('POST /v3/auth/tokens') >= 3

    until(renewed, 'it is renewed twice')
    assert 'Keystone cannot' not in server.log()


@pytest.fixture
def authority(tmp_path):
    """A CA, and a certificate of it for 127.0.0.1: paths of CA, certificate and key."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name, key, issuer, issuer_key, *extensions):
        made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        for extension in extensions:
            made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return made.sign(issuer_key, hashes.SHA256())

    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    root, leaf = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ('CA', 'Keystone'))
    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))])
    pem = serialization.Encoding.PEM
    return (
        write('ca.pem', certificate(root, root_key, root, root_key, x509.BasicConstraints(True, None)).public_bytes(pem)),
        write('leaf.pem', certificate(leaf, leaf_key, root, root_key, address).public_bytes(pem)),
        write('key.pem', leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())))


def test_tls_with_an_authority_of_our_own(placement, keystone, cloud, authority):
    ca, certificate, key = authority
    tls = keystone.beside('tls', tls=(certificate, key))
    keystone.endpoint('identity', tls.url, region='tls', interface='admin')
    settings = {'auth_url': tls.url, 'region_name': 'tls', 'interface': 'admin'}
    token = keystone.token('boss', project='lab')
    before = len(keystone.validations())
    server = placement(ca_file=str(ca), **settings)
    assert server.status('/traits', token) == 200
    assert len(tls.validations()) == 1 and len(keystone.validations()) == before
    server.stop()
    # A Keystone with an untrusted certificate does not get our password.
    log_ins = tls.requests().count('POST /v3/auth/tokens')
    stranger = placement(**settings)
    assert refused_for_now(stranger.ask('/traits', token))
    assert tls.requests().count('POST /v3/auth/tokens') == log_ins
    assert 'invalid peer certificate' in stranger.log()
    stranger.stop()
    # An insecure client believes any certificate.
    careless = placement(insecure=True, **settings)
    assert careless.status('/traits', token) == 200
    assert 'auth.keystone.insecure is true' in careless.log()


def test_a_certificate_of_the_service(placement, keystone, cloud, authority):
    """This Keystone speaks only to clients with a certificate of its authority."""
    ca, certificate, key = authority
    tls = keystone.beside('clients', tls=(certificate, key, ca))
    keystone.endpoint('identity', tls.url, region='clients', interface='admin')
    settings = {'auth_url': tls.url, 'region_name': 'clients', 'interface': 'admin', 'ca_file': str(ca)}
    token = keystone.token('boss', project='lab')
    both = ca.with_name('both.pem')
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    for files in [{'cert_file': str(certificate), 'key_file': str(key)}, {'cert_file': str(both)}]:
        server = placement(**files, **settings)
        assert server.status('/traits', token) == 200
        server.stop()
    stranger = placement(**settings)
    assert refused_for_now(stranger.ask('/traits', token))


def test_what_can_not_be_used_stops_the_start(placement, keystone, cloud, tmp_path):
    for settings, words in [
        ({'auth_url': ''}, 'auth.keystone.auth_url: is needed'),
        ({'password': None}, 'auth.keystone.password: is needed, or an application credential'),
        ({'auth_url': 'http://u:hush-hush@k'}, 'do not belong into the URL'),
        ({'ca_file': '/nonexistent.pem'}, 'auth.keystone.ca_file: /nonexistent.pem: '),
        ({'cert_file': '/nonexistent.pem'}, 'auth.keystone.cert_file: /nonexistent.pem: '),
        ({'key_file': '/key.pem'}, 'auth.keystone.cert_file: is needed'),
        ({'timeout_seconds': 0}, 'auth.keystone.timeout_seconds: 0 is not between'),
    ]:
        with pytest.raises(drivers.ServerError) as error:
            placement(**settings)
        assert 'exited with 2' in str(error.value) and words in str(error.value)
        assert 'hush-hush' not in str(error.value)


def test_the_environment_takes_texts_as_they_are(tmp_path, database, keystone, cloud):
    """A password of digits is no number, and a shell says no more of it than a file."""
    user = keystone.user('digits', 'service', on=f'projects/{cloud.service}', password='0012[3')
    port = next(drivers.PORTS)
    variables = {'LISTEN': f'127.0.0.1:{port}', 'DATABASE__URL': database.url, 'AUTH__STRATEGY': 'keystone',
                 'AUTH__KEYSTONE__AUTH_URL': keystone.url, 'AUTH__KEYSTONE__USER_ID': user,
                 'AUTH__KEYSTONE__PASSWORD': '0012[3', 'AUTH__KEYSTONE__PROJECT_ID': cloud.service,
                 'AUTH__KEYSTONE__PROJECT_NAME': '', 'AUTH__KEYSTONE__CACHE_SECONDS': '7'}

    class FromEnvironment(drivers.AllotmentServer):
        def command(self):
            return ['env', *(f'ALLOTMENT_{name}={value}' for name, value in variables.items()),
                    drivers.binary(), 'serve']

    server = FromEnvironment(tmp_path, port, database)
    try:
        server.ensure_started()
        answer = httpx.get(server.url + '/traits', trust_env=False, headers={
            'x-auth-token': keystone.token('boss', project='lab'), 'openstack-api-version': 'placement 1.39'})
        assert answer.status_code == 200
    finally:
        server.stop()


@pytest.fixture
def in_catalog(placement, keystone):
    """A server that is the one in the catalog."""
    server = placement()
    with keystone.placement_at(server.url):
        yield server


def test_the_openstack_command_finds_us_in_the_catalog(in_catalog, keystone, cloud):
    environment = {**drivers.environment(), 'NO_PROXY': '127.0.0.1', 'no_proxy': '127.0.0.1'}

    def run(user, *arguments):
        return subprocess.run(
            [COMMAND, '--os-auth-url', f'{keystone.url}/v3', '--os-username', user, '--os-password',
             keystone_server.PASSWORD, '--os-project-name', 'lab', '--os-user-domain-name', 'Default',
             '--os-project-domain-name', 'Default', '--os-placement-api-version', '1.39', *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environment)

    made = run('boss', 'resource', 'provider', 'create', 'host', '-f', 'json')
    assert made.returncode == 0, made.stderr
    listed = run('boss', 'resource', 'provider', 'list', '-f', 'json')
    assert [row['uuid'] for row in json.loads(listed.stdout)] == [json.loads(made.stdout)['uuid']]
    refused = run('reader', 'resource', 'provider', 'list')
    assert refused.returncode != 0 and 'HTTP 403' in refused.stderr


def test_the_sdk_finds_us_and_gets_a_new_token(in_catalog, keystone, cloud, monkeypatch):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    connection = openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_url=f'{keystone.url}/v3', username='boss',
        password=keystone_server.PASSWORD, project_name='lab', user_domain_name='Default',
        project_domain_name='Default', region_name=keystone_server.REGION)
    made = connection.placement.create_resource_provider(name='host')
    assert [found.id for found in connection.placement.resource_providers()] == [made.id]
    # The 401 has the session log in again.
    keystone('DELETE', '/auth/tokens', **{'x-subject-token': connection.session.get_token()})
    in_catalog.stop()
    in_catalog.ensure_started()
    assert [found.id for found in connection.placement.resource_providers()] == [made.id]


def test_a_trace_is_handed_on_to_keystone(placement, keystone, cloud):
    """Keystone's part of a request belongs to the trace of the request, and only to that."""
    server = placement()
    token, other = keystone.token('boss', project='lab'), keystone.token('nova', project='service')
    trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    for who, parent, state in ((token, trace, 'a=1,b=2'), (other, trace[:-1], 'a=1')):
        before = len(keystone.traces())
        assert server.status('/traits', who, traceparent=parent, tracestate=state) == 200
        found = [line for line in keystone.traces()[before:] if line[0] == 'GET']
        # The second header is no valid one, so nothing is handed on.
        expected = [trace, state] if parent == trace else ['-', '-']
        assert found and all(line[1:] == expected for line in found), found
    [line] = [line for line in server.log().splitlines() if ' trace: ' in line]
    assert line.endswith(' trace: 4bf92f3577b34da6a3ce929d0e0e4736') and '"GET /traits" status: 200' in line


def test_the_check_before_an_adoption_asks_keystone(placement, keystone, cloud):
    """`allotment adopt --check` has Keystone validate a token with the service's own credentials."""
    server = placement()
    path = server.workdir / 'allotment.toml'
    text = path.read_text()
    for old, new, result, words in [
        ('', '', 0, 'with the roles service'),
        # Keystone validates a user's own token for any user.
        ('"placement"', '"powerless"', 1, 'lets a user validate tokens with the role service'),
        (f'"{keystone_server.PASSWORD}"', '"wrong"', 2, 'it refuses our credentials'),
        (keystone.url, f'http://127.0.0.1:{next(drivers.PORTS)}', 2, 'refused'),
        ('auth_url', '# auth_url', 2, 'auth.keystone.auth_url: is needed'),
    ]:
        path.write_text(text.replace(old, new) if old else text)
        done = subprocess.run([drivers.binary(), 'adopt', '--check', '--json', '--config', path], text=True, timeout=300,
                              capture_output=True, env=drivers.environment())
        [found] = [row for row in json.loads(done.stdout)['checks'] if row['check'] == 'Keystone']
        assert (found['result'], done.returncode) == (result, result // 2), found
        assert words in found['details']
