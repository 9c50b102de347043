"""A real Keystone on SQLite, and what its administrator does there."""

import contextlib
import getpass
import grp
import os
import pathlib
import ssl
import subprocess
import sys
import time
import uuid

import drivers
import httpx

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = 'secret'
REGION = 'RegionOne'
START_TIMEOUT = 120


class KeystoneError(Exception):
    """Keystone could not be started, or refused what had to succeed."""


class Process:
    """One Keystone process; several may serve one database and one set of keys."""

    def __init__(self, directory, shared, expiration=3600, tls=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port = next(drivers.PORTS)
        self.tls = tls
        self.url = f'{"https" if tls else "http"}://127.0.0.1:{self.port}'
        self.process = None
        # Bcrypt is as slow as it is safe, which matters to nobody here.
        (self.directory / 'keystone.conf').write_text(f'''
[DEFAULT]
log_file = {self.directory}/keystone.log
[database]
connection = sqlite:///{shared}/keystone.db
[fernet_tokens]
key_repository = {shared}/fernet
[fernet_receipts]
key_repository = {shared}/fernet
[credential]
key_repository = {shared}/credential
[token]
expiration = {expiration}
[identity]
password_hash_rounds = 4
''')

    def manage(self, *arguments):
        command = [pathlib.Path(sys.executable).with_name('keystone-manage'),
                   '--config-file', self.directory / 'keystone.conf', *arguments]
        done = subprocess.run(command, capture_output=True, text=True,
                              env=drivers.environment(), cwd=self.directory)
        if done.returncode:
            raise KeystoneError(f'{arguments}: {done.stderr[-4000:]}')

    def start(self):
        with open(self.directory / 'serve.log', 'ab') as log:
            self.process = subprocess.Popen(
                [sys.executable, HERE / 'serve_keystone.py', self.directory, str(self.port),
                 *(self.tls or [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=drivers.environment(), cwd=self.directory,
                preexec_fn=drivers.end_with_parent)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f'{self.url}/v3', trust_env=False, verify=self.trust()).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        self.stop()
        raise KeystoneError((self.directory / 'serve.log').read_text()[-4000:])

    def trust(self):
        """The tests look at the owner of the certificate. The check at the start does not."""
        if not self.tls:
            return False
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(*self.tls[:2])
        return context

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def requests(self):
        """The requests that came in so far, such as "GET /v3/auth/tokens?nocatalog"."""
        path = self.directory / 'REQUESTS'
        return path.read_text().splitlines() if path.exists() else []

    def traces(self):
        """Method, traceparent and tracestate of each request so far; a missing header is "-"."""
        path = self.directory / 'TRACES'
        return [line.split(' ') for line in path.read_text().splitlines()] if path.exists() else []

    def validations(self):
        return [line for line in self.requests() if line.startswith('GET /v3/auth/tokens')]


class Keystone(Process):
    """The Keystone that all tests share, with its administrator."""

    def __init__(self, directory):
        super().__init__(directory / 'main', directory)
        self.shared = directory
        group = grp.getgrgid(os.getgid()).gr_name
        owner = ['--keystone-user', getpass.getuser(), '--keystone-group', group]
        for name in ('fernet', 'credential'):
            (directory / name).mkdir()
        self.manage('db_sync')
        self.manage('fernet_setup', *owner)
        self.manage('credential_setup', *owner)
        addresses = [f'--bootstrap-{name}-url={self.url}/v3' for name in ('admin', 'public', 'internal')]
        self.manage('bootstrap', '--bootstrap-password', PASSWORD,
                    '--bootstrap-region-id', REGION, *addresses)
        self.start()
        self.admin = self.token('admin', project='admin')
        found = self('GET', '/roles')['roles']
        self.roles = {role['name']: role['id'] for role in found}
        self.others = []

    def beside(self, name, **options):
        """Another process on the same database and keys."""
        other = Process(self.shared / name, self.shared, **options)
        self.others.append(other)
        other.start()
        return other

    def stop_all(self):
        for process in [self, *self.others]:
            process.stop()

    def send(self, method, path, body=None, token=None, **headers):
        return httpx.request(method, f'{self.url}/v3{path}', json=body, timeout=60, trust_env=False,
                             headers={'x-auth-token': token or self.admin, **headers})

    def __call__(self, method, path, body=None, token=None, **headers):
        response = self.send(method, path, body, token, **headers)
        if not response.is_success:
            raise KeystoneError(f'{method} {path}: {response.status_code} {response.text}')
        return response.json() if response.content else None

    def log_in(self, auth, url=None):
        """A token for an "auth" object."""
        response = httpx.post(f'{url or self.url}/v3/auth/tokens', json={'auth': auth}, timeout=60,
                              trust_env=False)
        if response.status_code != 201:
            raise KeystoneError(response.text)
        return response.headers['x-subject-token']

    def token(self, name, project=None, scope=None, url=None):
        """A token of a user of the default domain, for a project by its name or any scope."""
        if project is not None:
            scope = {'project': {'name': project, 'domain': {'id': 'default'}}}
        user = {'name': name, 'domain': {'id': 'default'}, 'password': PASSWORD}
        return self.log_in({'identity': {'methods': ['password'], 'password': {'user': user}},
                            'scope': scope or 'unscoped'}, url)

    def user(self, name, *roles, on, password=PASSWORD):
        """A new user with roles on `projects/ID`, `domains/ID` or the system; returns its id.

        To change its password later revokes also the tokens that it gets within the same second.
        """
        body = {'user': {'name': name, 'password': password, 'domain_id': 'default'}}
        identity = self('POST', '/users', body)['user']['id']
        for role in roles:
            self.grant(identity, role, on)
        return identity

    def grant(self, user, role, on):
        self('PUT', f'/{on}/users/{user}/roles/{self.roles[role]}')

    def project(self, name):
        return self('POST', '/projects', {'project': {'name': name, 'domain_id': 'default'}})['project']['id']

    def application_credential(self, user, token, **more):
        """A new one with a name of its own; its id and secret. `token` is its user's."""
        body = {'application_credential': {'name': uuid.uuid4().hex, **more}}
        made = self('POST', f'/users/{user}/application_credentials', body, token)
        made = made['application_credential']
        return {'id': made['id'], 'secret': made['secret']}

    def by_credential(self, credential):
        return self.log_in({'identity': {'methods': ['application_credential'],
                                         'application_credential': credential}})

    def endpoint(self, service_type, url, region=REGION, interface='public'):
        """An endpoint in the catalog, of a service that is made if it is missing."""
        services = self('GET', f'/services?type={service_type}')['services']
        if services:
            service = services[0]['id']
        else:
            body = {'service': {'type': service_type, 'name': service_type}}
            service = self('POST', '/services', body)['service']['id']
        if self.send('GET', f'/regions/{region}').status_code == 404:
            self('POST', '/regions', {'region': {'id': region}})
        body = {'endpoint': {'service_id': service, 'interface': interface, 'url': url, 'region_id': region}}
        return self('POST', '/endpoints', body)['endpoint']['id']

    @contextlib.contextmanager
    def placement_at(self, url):
        """A Placement service that is in the catalog for as long as this is entered."""
        endpoint = self.endpoint('placement', url)
        try:
            yield
        finally:
            self('DELETE', f'/endpoints/{endpoint}')
