"""Proxies before the service: which ones it believes, and below which path its clients find it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import drivers
import httpx
import pytest
from service import Connection, await_true

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

OPENSTACK = pathlib.Path(sys.executable).with_name('openstack')
# Servers live where an unprivileged user does not look.
NGINX = shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin:/sbin')


def ask(url, method='GET', body=None, **headers):
    headers = {'x-auth-token': 'admin', 'openstack-api-version': 'placement 1.39', **headers}
    return httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=60)


def located(server, **headers):
    """The part of `Location` before the path."""
    answer = ask(server.url + '/resource_providers', 'POST', {'name': uuid.uuid4().hex}, **headers)
    assert answer.status_code == 200, answer.text
    return answer.headers['location'].partition('/resource_providers/')[0]


FORWARDED = {'x-forwarded-for': '198.51.100.7, 192.0.2.1', 'x-forwarded-proto': 'https',
             'x-forwarded-host': 'cloud.example.com'}
STANDARD = {'forwarded': 'for="[2001:db8::7]:1";proto=https;host="cloud.example.com:8443"'}


def test_trusted_proxies_are_believed(service):
    server = service(trusted_proxies=['127.0.0.0/8'])
    assert located(server, **FORWARDED) == 'https://cloud.example.com'
    server.await_log('192.0.2.1 "POST /resource_providers"')
    assert located(server) == server.url
    server.await_log('127.0.0.1 "POST /resource_providers"')
    # A text that would not be a host in a URL is not taken for one.
    for odd in ('evil.example.com/path?', 'evil.example.com:x', 'user@evil.example.com', '[evil]'):
        found = located(server, **{**FORWARDED, 'x-forwarded-host': odd})
        assert found == server.url.replace('http:', 'https:'), odd
    # A text that is no scheme is not taken for one either.
    assert located(server, **{**FORWARDED, 'x-forwarded-proto': 'javascript'}) == 'http://cloud.example.com'


@pytest.mark.parametrize('settings, read, unread, client, url', [
    ({}, FORWARDED, STANDARD, '192.0.2.1', 'https://cloud.example.com'),
    ({'proxy_headers': 'x-forwarded'}, FORWARDED, STANDARD, '192.0.2.1', 'https://cloud.example.com'),
    ({'proxy_headers': 'forwarded'}, STANDARD, FORWARDED, '2001:db8::7', 'https://cloud.example.com:8443'),
])
def test_only_the_headers_that_proxies_write_are_read(service, settings, read, unread, client, url):
    """The other headers are the client's, and a proxy passes them on as they are."""
    server = service(trusted_proxies=['127.0.0.0/8'], **settings)
    assert located(server, **read) == url
    assert located(server, **read, **unread) == url
    server.await_log(f'{client} "POST /resource_providers"', 2)
    assert located(server, **unread) == server.url
    server.await_log('127.0.0.1 "POST /resource_providers"')


def test_others_are_not_believed(service):
    for trusted in ([], ['10.0.0.0/8']):
        server = service(trusted_proxies=trusted)
        for headers in (FORWARDED, STANDARD, {'x-forwarded-prefix': '/placement'}):
            assert located(server, **headers) == server.url
        server.await_log('127.0.0.1 "POST /resource_providers"', 3)
        server.stop()


def raw(server, target, *headers, version='1.1'):
    """The status of an answer to a POST with just these lines in its head, and the part of its `Location`
    before the path."""
    body = json.dumps({'name': uuid.uuid4().hex})
    lines = [f'POST {target} HTTP/{version}', 'X-Auth-Token: admin', 'Content-Type: application/json',
             f'Content-Length: {len(body)}', 'Connection: close', *headers]
    connection = Connection(server.port)
    connection.send('\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + body.encode())
    head = connection.read_to_end().decode().partition('\r\n\r\n')[0]
    connection.close()
    found = dict(line.lower().split(': ', 1) for line in head.split('\r\n')[1:])
    return int(head.split()[1]), found.get('location', '').partition('/resource_providers/')[0]


def test_a_host_is_looked_at_before_it_is_in_location(service):
    server = service()
    at = '/resource_providers'
    for host, url in [('cloud.example.com', 'http://cloud.example.com'), ('placement_api:8778', 'http://placement_api:8778'),
                      ('[2001:db8::1]:8778', 'http://[2001:db8::1]:8778'), ('a:80', 'http://a'), ('', server.url)]:
        assert raw(server, at, f'Host: {host}') == (201, url)
    assert raw(server, at, version='1.0') == (201, server.url)
    assert raw(server, f'http://a.example:1{at}', 'Host: b.example') == (201, 'http://a.example:1')
    for odd in ('a/b', 'a b', 'user@a', 'a"b', 'a,b', 'a?b', 'a#b', 'a\\b', 'a:x', 'a:99999', '[a]', '2001:db8::1', '\xe9'):
        assert raw(server, at, f'Host: {odd}') == (400, ''), odd
    assert raw(server, at, 'Host: a', 'Host: b') == (400, '')
    assert raw(server, f'http://user@a.example{at}', 'Host: a.example') == (400, '')


def links(value):
    """Every link in a body."""
    if isinstance(value, list):
        return [link for item in value for link in links(item)]
    if isinstance(value, dict):
        own = [value['href']] if 'href' in value else []
        return own + [link for item in value.values() for link in links(item)]
    return []


def visit(base, prefix, **headers):
    """Makes things below `base` and follows what the answers say; all of it must begin with `prefix`."""
    def check(answer, status=200):
        assert answer.status_code == status, answer.text
        for link in links(answer.json()) if answer.content else []:
            assert link.startswith(prefix + '/'), link
            assert not link.startswith(prefix + prefix + '/') or not prefix, link
        return answer

    def followed(answer):
        where = httpx.URL(answer.headers['location'])
        assert where.path.startswith(prefix + '/')
        return base.removesuffix(prefix) + where.path

    check_version(base, **headers)
    made = check(ask(base + '/resource_providers', 'POST', {'name': uuid.uuid4().hex}, **headers))
    shown = check(ask(followed(made), **headers))
    assert shown.json() == made.json()
    listed = check(ask(base + '/resource_providers', **headers)).json()['resource_providers']
    for link in links(listed):
        assert ask(base.removesuffix(prefix) + link, **headers).status_code == 200, link
    inventory = {'resource_provider_generation': 0, 'resource_class': 'VCPU', 'total': 4}
    check(ask(followed(ask(followed(made) + '/inventories', 'POST', inventory, **headers)), **headers))
    check(ask(base + '/resource_classes', **headers))
    check(ask(followed(ask(base + '/resource_classes/CUSTOM_X', 'PUT', **headers)), **headers))
    check(ask(followed(ask(base + '/traits/CUSTOM_X', 'PUT', **headers)), **headers), 204)
    document = httpx.get(base + '/openapi.json', trust_env=False, headers=headers).json()
    assert document.get('servers') == ([{'url': prefix}] if prefix else None)
    ticket = ask(followed(made) + '/waitlist', 'POST', {'scope': 's', 'id': 'i', 'lease_seconds': 60}, **headers)
    check(ask(followed(ticket), **headers))


def check_version(base, **headers):
    """The version document is at the path itself and at the one with a slash, and leads there."""
    for spelling in (base, base + '/'):
        answer = httpx.get(spelling, trust_env=False, headers=headers)
        assert answer.status_code == 200, answer.text
        [version] = answer.json()['versions']
        assert version['links'] == [{'rel': 'self', 'href': ''}]


def test_a_proxy_says_below_which_path(service):
    server = service(trusted_proxies=['127.0.0.1'])
    visit(server.url, '')
    # The request comes as from a proxy that takes the path away, and says so.
    answer = ask(server.url + '/resource_providers', 'POST', {'name': 'a'}, **{'x-forwarded-prefix': '/cloud/placement/'})
    assert answer.headers['location'].startswith(server.url + '/cloud/placement/resource_providers/')
    assert all(link.startswith('/cloud/placement/resource_providers/') for link in links(answer.json()))
    for odd in ('//evil.example', 'placement', 'https://evil.example/', '/a/../b', '/a"b', '/a b', '/%2e%2e'):
        assert located(server, **{'x-forwarded-prefix': odd}) == server.url, odd
    server.stop()
    standard = service(trusted_proxies=['127.0.0.1'], proxy_headers='forwarded')
    assert located(standard, **{'x-forwarded-prefix': '/placement'}) == standard.url


def test_the_settings_say_below_which_path(service):
    server = service(base_path='/placement/')
    visit(server.url + '/placement', '/placement')
    # A proxy may take the path away, too; health is asked for without one.
    assert located(server) == server.url + '/placement'
    for path in ('/', '/healthcheck', '/traits', '/placement//traits', '//placement/traits'):
        assert ask(server.url + path).status_code == 200, path
    for path in ('/placement/placement/traits', '/placements/traits', '/placementtraits', '/placement/x'):
        assert ask(server.url + path).status_code == 404, path
    # Paths below the base path are open to the same clients as paths without it.
    assert httpx.get(server.url + '/placement/traits', trust_env=False).status_code == 401
    assert httpx.get(server.url + '/placement/', trust_env=False).status_code == 200


def nginx(directory, port, locations):
    """A proxy with these locations."""
    (directory / 'nginx.conf').write_text(f'''
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
{locations}
    }}
}}
''')
    return subprocess.Popen([NGINX, '-p', directory, '-c', directory / 'nginx.conf'], stdin=subprocess.DEVNULL,
                            stderr=subprocess.STDOUT, stdout=open(directory / 'nginx.out', 'wb'),
                            preexec_fn=drivers.end_with_parent)


def openstack(url, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith('OS_')}
    done = subprocess.run(
        [OPENSTACK, '--os-auth-type', 'admin_token', '--os-endpoint', url, '--os-token', 'admin',
         '--os-placement-api-version', '1.39', *arguments, '-f', 'json'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        env={**kept, 'NO_PROXY': '127.0.0.1', 'no_proxy': '127.0.0.1'})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TAKES_AWAY = 'location /placement { rewrite ^/placement/?(.*)$ /$1 break; proxy_pass http://127.0.0.1:PORT; EXTRA }'


@pytest.mark.parametrize('settings, location', [
    # The proxy takes the path away and says so; takes it away and says nothing; passes it on.
    ({'trusted_proxies': ['127.0.0.1']}, TAKES_AWAY.replace(
        'EXTRA', 'proxy_set_header X-Forwarded-Prefix /placement; proxy_set_header Host $http_host;')),
    ({'base_path': '/placement'}, TAKES_AWAY.replace('EXTRA', '')),
    ({'base_path': '/placement'}, 'location /placement { proxy_pass http://127.0.0.1:PORT; }'),
], ids=['said', 'taken away', 'passed on'])
def test_behind_a_proxy(service, tmp_path, settings, location):
    server, port = service(**settings), next(drivers.PORTS)
    proxy = nginx(tmp_path, port, location.replace('PORT', str(server.port)))
    url = f'http://127.0.0.1:{port}/placement'
    try:
        def answers():
            assert proxy.poll() is None, (tmp_path / 'nginx.out').read_text()
            try:
                return httpx.get(url, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False
        await_true(answers, 'the proxy does not answer')
        visit(url, '/placement')
        # The command follows `Location`.
        made = openstack(url, 'resource', 'provider', 'create', 'host1')
        assert made['name'] == 'host1'
        assert openstack(url, 'resource', 'provider', 'show', made['uuid']) == made
    finally:
        proxy.terminate()
        proxy.wait()
