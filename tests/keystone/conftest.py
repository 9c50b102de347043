"""One Keystone for all tests here, and servers that ask it."""

import types

import drivers
import httpx
import keystone_server
import pytest

KEYS = ('auth_url', 'www_authenticate_uri', 'username', 'password', 'project_name', 'system_scope',
        'application_credential_id', 'application_credential_secret', 'region_name', 'interface',
        'ca_file', 'cert_file', 'key_file', 'insecure', 'service_token_roles', 'cache_seconds', 'cache_size', 'connect_seconds',
        'timeout_seconds', 'connections')


class Placement(drivers.AllotmentServer):
    """A server that believes Keystone."""

    OPTIONS = {**drivers.AllotmentServer.OPTIONS,
               **{('keystone', key): ('auth.keystone', key) for key in KEYS}}

    def ask(self, path, token, method='GET', **headers):
        if token is not None:
            headers['x-auth-token'] = token
        return httpx.request(method, self.url + path, trust_env=False, timeout=60, headers={
            'openstack-api-version': 'placement 1.39', **headers})

    def status(self, path, token, **more):
        return self.ask(path, token, **more).status_code

    def log(self):
        return (self.workdir / 'server.log').read_text()


@pytest.fixture(scope='session')
def keystone(tmp_path_factory):
    made = keystone_server.Keystone(tmp_path_factory.mktemp('keystone'))
    yield made
    made.stop_all()


@pytest.fixture(scope='session')
def cloud(keystone):
    """Users, by what they may do. The service's own is "placement"."""
    service, lab, shop = (keystone.project(name) for name in ('service', 'lab', 'shop'))
    users = {
        name: keystone.user(name, *roles, on=on)
        for name, roles, on in [
            ('placement', ['service'], f'projects/{service}'),
            ('nova', ['service'], f'projects/{service}'),
            ('powerless', ['member'], f'projects/{service}'),
            ('boss', ['admin'], f'projects/{lab}'),
            ('member', ['member'], f'projects/{lab}'),
            ('reader', ['reader'], f'projects/{lab}'),
            ('roleless', [], f'projects/{lab}'),
            ('domain_boss', ['admin'], 'domains/default'),
            ('system_boss', ['admin'], 'system'),
        ]
    }
    return types.SimpleNamespace(lab=lab, shop=shop, service=service, users=users)


@pytest.fixture
def placement(tmp_path, database, keystone, cloud):
    """Returns a function that starts a server; a setting of None is left out."""
    started = []

    def start(options=(), **settings):
        server = Placement(tmp_path, next(drivers.PORTS), database)
        own = {'auth_url': keystone.url, 'username': 'placement', 'password': keystone_server.PASSWORD,
               'project_name': 'service', **settings}
        server.configure('api', auth_strategy='keystone')
        server.configure('keystone', **{key: value for key, value in own.items() if value is not None})
        server.configure('oslo_policy', **dict(options))
        started.append(server)
        server.ensure_started()
        return server

    yield start
    for server in started:
        server.stop()
