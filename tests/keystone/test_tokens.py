"""Keystone's answer about a token is believed, and the headers of a request are not."""

import concurrent.futures
import datetime
import socket

import httpx
import pytest
from waiting import until

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

GARBAGE = ['x', 'admin', 'admin:admin', 'é'.encode(), 'gAAAAAB' + 'x' * 180, '../../v3/users', 'a\tb',
           'x' * 20_000, '%00', '"', '']


def seen_good_and_ended(server, make):
    """A token that `make` makes to last some seconds is good, and then not any more.

    On a busy machine one may end before it is seen, so there are several tries.
    """
    for seconds in (4, 8, 16, 32, 64):
        token = make(seconds)
        if server.status('/traits', token) == 200:
            until(lambda: server.status('/traits', token) == 401, 'the token ends')
            return
    pytest.fail('no token is good')


@pytest.fixture(scope='session')
def short_lived(keystone):
    """A Keystone whose tokens end soon; they are as good as any other's before."""
    return keystone.beside('short', expiration=4)


def test_scopes_and_roles(placement, keystone, cloud):
    server = placement()
    own, other = f'/usages?project_id={cloud.lab}', f'/usages?project_id={cloud.shop}'
    system = {'system': {'all': True}}
    domain = {'domain': {'id': 'default'}}
    for name, scope, classes, own_usages, other_usages in [
        # In a project.
        ('boss', 'lab', 200, 200, 200),
        ('nova', 'service', 200, 200, 200),
        ('reader', 'lab', 403, 200, 403),
        # Keystone tells of the role that "member" implies.
        ('member', 'lab', 403, 200, 403),
        ('powerless', 'service', 403, 403, 403),
        # Elsewhere; the rules are for tokens of projects.
        ('domain_boss', domain, 403, 403, 403),
        ('system_boss', system, 403, 403, 403),
        ('boss', None, 403, 403, 403),
        ('roleless', None, 403, 403, 403),
    ]:
        where = {'project': scope} if isinstance(scope, str) else {'scope': scope}
        token = keystone.token(name, **where)
        found = [server.status(path, token) for path in ('/resource_classes', own, other)]
        assert found == [classes, own_usages, other_usages], (name, scope)


@pytest.mark.parametrize('options, boss, nova', [
    # Only services reshape, as with Placement, unless the settings say otherwise.
    ({}, 403, 400), ({'enforce_new_defaults': True}, 403, 400), ({'enforce_new_defaults': False}, 400, 400)])
def test_new_defaults_are_those_in_force(placement, keystone, cloud, options, boss, nova):
    server = placement(options=options)
    for name, project, status in [('boss', 'lab', boss), ('nova', 'service', nova)]:
        answer = httpx.post(server.url + '/reshaper', json={}, trust_env=False, timeout=60, headers={
            'x-auth-token': keystone.token(name, project=project), 'openstack-api-version': 'placement 1.39'})
        assert answer.status_code == status, (name, answer.text)


def test_scope_counts_only_if_it_is_enforced(placement, keystone, cloud):
    server = placement(options={'enforce_scope': False})
    for name, scope in [('domain_boss', {'domain': {'id': 'default'}}), ('system_boss', {'system': {'all': True}})]:
        assert server.status('/resource_classes', keystone.token(name, scope=scope)) == 200
    assert server.status('/resource_classes', keystone.token('reader', project='lab')) == 403


def test_headers_of_the_client_say_nothing(placement, keystone, cloud):
    server = placement()
    reader = keystone.token('reader', project='lab')
    forged = {
        'x-roles': 'admin,service', 'x-role': 'admin', 'x-project-id': cloud.shop, 'x-tenant-id': cloud.shop,
        'x-user-id': cloud.users['boss'], 'x-domain-id': 'default', 'openstack-system-scope': 'all',
        'x-identity-status': 'Confirmed', 'x-service-roles': 'service', 'x-service-identity-status': 'Confirmed',
        'x-is-admin-project': 'True', 'x-user-domain-id': 'default', 'x-project-domain-id': 'default'}
    assert server.status('/resource_classes', reader, **forged) == 403
    assert server.status(f'/usages?project_id={cloud.shop}', reader, **forged) == 403
    assert server.status(f'/usages?project_id={cloud.lab}', reader, **forged) == 200
    assert server.status('/resource_classes', None, **forged) == 401
    assert server.status('/resource_classes', 'admin', **forged) == 401


def test_garbage_is_refused_and_told_where_tokens_are(placement, keystone, cloud):
    server = placement(www_authenticate_uri='https://keystone.example.com/identity')
    assert server.status('/', None) == 200
    for token in [None, *GARBAGE]:
        for method, path in [('GET', '/traits'), ('PUT', '/traits/CUSTOM_X'), ('GET', '/nowhere')]:
            answer = server.ask(path, token, method)
            assert answer.status_code == 401, (token, answer.text)
            assert answer.headers['www-authenticate'] == 'Keystone uri="https://keystone.example.com/identity"'
            assert answer.json()['error']['code'] == 401
            assert answer.headers['x-openstack-request-id'].startswith('req-')
        # A path that is open to all needs no question to Keystone.
        assert server.status('/', token) == 200
    assert 'refused: it has no token' in server.log()
    assert 'refused: Keystone does not know its token' in server.log()


def test_a_token_is_asked_for_once(placement, keystone, cloud):
    server = placement()
    assert server.status('/traits', keystone.token('boss', project='lab')) == 200
    token = keystone.token('boss', project='lab')
    before = len(keystone.validations())
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: server.status('/traits', token), range(100))) == {200}
    assert len(keystone.validations()) == before + 1
    assert keystone.validations()[-1] == 'GET /v3/auth/tokens?nocatalog'


def test_without_a_cache_each_request_is_a_question(placement, keystone, cloud):
    server = placement(cache_seconds=0)
    token = keystone.token('boss', project='lab')
    before = len(keystone.validations())
    for _ in range(3):
        assert server.status('/traits', token) == 200
    assert len(keystone.validations()) == before + 3


@pytest.mark.parametrize('cache_seconds, after', [(0, 401), (300, 200)])
def test_a_revoked_token_is_refused_once_it_is_asked_for(placement, keystone, cloud, cache_seconds, after):
    server = placement(cache_seconds=cache_seconds)
    token = keystone.token('boss', project='lab')
    assert server.status('/traits', token) == 200
    keystone('DELETE', '/auth/tokens', **{'x-subject-token': token})
    assert server.status('/traits', token) == after


def test_a_token_that_was_revoked_before_is_refused(placement, keystone, cloud):
    server = placement()
    token = keystone.token('boss', project='lab')
    keystone('DELETE', '/auth/tokens', **{'x-subject-token': token})
    assert server.status('/traits', token) == 401


def test_a_token_ends_also_in_the_cache(placement, keystone, cloud, short_lived):
    server = placement(cache_seconds=300)
    seen_good_and_ended(server, lambda seconds: keystone.token('boss', project='lab', url=short_lived.url))


def test_a_service_may_bring_an_expired_token(placement, keystone, cloud, short_lived):
    server = placement()
    nova = keystone.token('nova', project='service')
    boss = keystone.token('boss', project='lab', url=short_lived.url)
    until(lambda: server.status('/traits', boss) == 401, 'the token ends')
    with_service = {'x-service-token': nova}
    for _ in range(2):
        assert server.status('/traits', boss, **with_service) == 200
    # It is good for that request only, and says whose it was.
    assert server.status('/traits', boss) == 401
    reader = keystone.token('reader', project='lab')
    assert server.status('/traits', reader, **with_service) == 403
    assert 'GET /v3/auth/tokens?nocatalog&allow_expired=1' in keystone.validations()


def test_a_service_token_must_be_one(placement, keystone, cloud, short_lived):
    server = placement()
    boss = keystone.token('boss', project='lab')
    expired = keystone.token('nova', project='service', url=short_lived.url)
    until(lambda: server.status('/traits', expired) == 401, 'the token ends')
    assert server.status('/traits', boss, **{'x-service-token': keystone.token('nova', project='service')}) == 200
    assert server.status('/traits', boss, **{'x-service-token': ''}) == 200
    for token in ['x', expired, boss, keystone.token('member', project='lab')]:
        assert server.status('/traits', boss, **{'x-service-token': token}) == 401
    # It takes no user's place.
    assert server.status('/traits', None, **{'x-service-token': keystone.token('nova', project='service')}) == 401
    assert 'its service token has none of the roles of services' in server.log()


def test_other_roles_can_be_those_of_services(placement, keystone, cloud):
    server = placement(service_token_roles=['reader', 'other'])
    boss = keystone.token('boss', project='lab')
    assert server.status('/traits', boss, **{'x-service-token': keystone.token('reader', project='lab')}) == 200
    assert server.status('/traits', boss, **{'x-service-token': keystone.token('nova', project='service')}) == 401


def test_rules_see_the_service(tmp_path, placement, keystone, cloud):
    server = placement()
    server.stop()
    server.set_policy_rules({'placement:traits:list': 'service_roles:service and role:reader'})
    server.ensure_started()
    reader = keystone.token('reader', project='lab')
    assert server.status('/traits', reader) == 403
    assert server.status('/traits', reader, **{'x-service-token': keystone.token('nova', project='service')}) == 200


def test_application_credentials(placement, keystone, cloud):
    server = placement()
    boss = keystone.token('boss', project='lab')

    def token(**more):
        credential = keystone.application_credential(cloud.users['boss'], boss, **more)
        return keystone.by_credential(credential)

    assert server.status('/traits', token()) == 200
    assert server.status('/traits', token(roles=[{'name': 'reader'}])) == 403

    limited = token(access_rules=[
        {'service': 'placement', 'method': 'GET', 'path': '/resource_providers/*/usages'},
        {'service': 'placement', 'method': 'PUT', 'path': '/traits/**'},
        {'service': 'compute', 'method': 'GET', 'path': '/traits'}])
    missing = '/resource_providers/00000000-0000-4000-8000-000000000000'
    assert server.status(f'{missing}/usages', limited) == 404
    assert server.status('/traits/CUSTOM_X', limited, method='PUT') == 201
    for path in [missing, f'{missing}/traits', '/traits', '/']:
        assert server.status(path, limited) == (200 if path == '/' else 401), path
    assert 'the access rules of its application credential do not allow it' in server.log()
    # A service that passes a request on does what its user was allowed to ask for.
    nova = keystone.token('nova', project='service')
    assert server.status('/traits', limited, **{'x-service-token': nova}) == 200
    assert server.status('/traits', limited, **{'x-service-token': boss}) == 401


def spelt(path):
    """Other spellings of a path below /resource_providers, which all lead to the same resource."""
    uuid, _, rest = path.removeprefix('/resource_providers/').partition('/')
    yield f'/resource_providers/{uuid}/{rest}'
    yield f'/resource_providers/{uuid}%2F{rest}'
    yield f'/resource_providers/{uuid}%2f{rest}'
    yield f'/resource_providers%2F{uuid}/{rest}'
    yield f'/resource%5Fproviders/{uuid}/{rest}'
    yield f'//resource_providers/{uuid}/{rest}'
    yield f'/%2fresource_providers%2F{uuid}%2F{rest}'


def test_access_rules_are_about_the_resource_however_it_is_spelt(placement, keystone, cloud):
    server = placement()
    boss = keystone.token('boss', project='lab')

    def limited(*paths):
        rules = [{'service': 'placement', 'method': method, 'path': path}
                 for method in ('GET', 'DELETE') for path in paths]
        return keystone.by_credential(keystone.application_credential(cloud.users['boss'], boss, access_rules=rules))

    def raw(path, token, method):
        """The status of a request whose path is sent as it stands."""
        with socket.create_connection(('127.0.0.1', server.port), 60) as connection:
            connection.sendall(f'{method} {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n'
                               'OpenStack-API-Version: placement 1.39\r\nConnection: close\r\n\r\n'.encode())
            return int(connection.makefile('rb').readline().split()[1])

    path = '/resource_providers/00000000-0000-4000-8000-000000000000/inventories'
    # A credential may do in each spelling what its rules allow, and nothing else.
    providers, inventories = limited('/resource_providers/*'), limited('/resource_providers/{uuid}/inventories')
    for spelling in spelt(path):
        for method in ('GET', 'DELETE'):
            assert raw(spelling, providers, method) == 401, spelling
            assert raw(spelling, inventories, method) == 404, spelling
            assert raw(spelling.replace('inventories', 'Inventories'), inventories, method) == 401, spelling
    for other in ('/resource_providers/%2A', '/resource_providers/%2e%2e', '/resource_providers/x;y'):
        assert raw(other, providers, 'GET') == 404, other
        assert raw(other, inventories, 'GET') == 401, other
    for odd in ('/resource_providers/%FF', '/resource_providers/a%00b', '/resource_providers/', '/resource_providers//'):
        assert raw(odd, providers, 'GET') == 401, odd


def test_an_application_credential_ends(placement, keystone, cloud):
    server = placement()
    boss = keystone.token('boss', project='lab')

    def token(seconds):
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        return keystone.by_credential(keystone.application_credential(
            cloud.users['boss'], boss, expires_at=end.strftime('%Y-%m-%dT%H:%M:%S.%fZ')))

    seen_good_and_ended(server, token)


def test_a_page_may_ask_what_it_may(placement, keystone, cloud):
    server = placement()
    server.stop()
    server.configure('cors', allowed_origin=['https://horizon.example.com'])
    server.ensure_started()
    answer = httpx.options(server.url + '/traits', trust_env=False, headers={
        'origin': 'https://horizon.example.com', 'access-control-request-method': 'GET',
        'access-control-request-headers': 'x-auth-token,openstack-api-version'})
    assert answer.status_code == 200
    assert answer.headers['access-control-allow-origin'] == 'https://horizon.example.com'
