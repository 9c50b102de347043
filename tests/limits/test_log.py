"""The log in the forms that log collectors parse, and its file, which another program moves away."""

import json
import re
import signal

import drivers
import httpx
import pytest
from service import await_true

pytestmark = pytest.mark.parametrize('database', ['sqlite'], indirect=True)

# The expressions of fluentd in kolla-ansible, which parse the logs of OpenStack's services. The second one begins anew
# for each record whose first line fits the first one.
FIRST_LINE = re.compile(r'^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}.\d{3} \d+ \S+ \S+ \[.*\]')
RECORD = re.compile(
    r'^(?P<Timestamp>\S+ \S+) (?P<Pid>\d+) (?P<log_level>\S+) (?P<python_module>\S+) '
    r'((?:\[)(?:None|req-)(?P<global_request_id>\S+)? (?:None|req-)(?P<request_id>\S+) (?P<user_id>\S+) '
    r'(?P<tenant_id>\S+) (?P<domain_id>\S+) (?P<system_scope>\S+) (?P<user_domain>\S+) (?P<project_domain>\S+)(?:\]))?'
    r'(?P<Payload>.*)?$')

CALLER = 'req-12345678-1234-4234-8234-123456789abc'


def ask(server, path='/traits', **headers):
    return httpx.get(server.url + path, trust_env=False, headers={
        'x-auth-token': 'boss:lab', 'x-roles': 'admin', 'x-openstack-request-id': CALLER,
        'openstack-api-version': 'placement 1.39', **headers})


def test_fluentd_parses_each_line_of_oslo(service, tmp_path):
    file = tmp_path / 'placement-api.log'
    server = service(log_format='oslo', log_file=str(file))
    answer = ask(server)
    ask(server, '/nowhere')
    server.stop()
    lines = file.read_text().splitlines()
    records = [RECORD.match(line) for line in lines]
    assert all(FIRST_LINE.match(line) for line in lines) and all(records)
    assert {record['python_module'].split('.')[0] for record in records} == {'allotment', 'actix_server'}
    [found] = [record for record in records if '"GET /traits" status: 200' in record['Payload']]
    assert found['log_level'] == 'INFO' and found['python_module'] == 'allotment.access'
    assert 'req-' + found['request_id'] == answer.headers['x-openstack-request-id']
    assert 'req-' + found['global_request_id'] == CALLER
    assert (found['user_id'], found['tenant_id']) == ('boss', 'lab')
    [started] = [record for record in records if 'noauth2' in record['Payload']]
    assert started['log_level'] == 'WARNING' and started['request_id'] is None
    # Nothing but the first lines, before the settings are known, goes to standard error.
    assert 'GET' not in server.log()


def test_json_is_an_object_on_each_line(service, tmp_path):
    server = service(log_format='json', log_file=str(tmp_path / 'log'))
    trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    answer = ask(server, traceparent=trace)
    head = (b'Host: x\r\nX-Auth-Token: boss:lab\r\nContent-Type: application/json\r\n'
            b'OpenStack-API-Version: placement 1.39\r\nContent-Length: 10\r\n')
    connection = server.connect()
    connection.send(b'POST /resource_classes HTTP/1.1\r\n' + head + b'\r\n0123456789')
    assert connection.read_answer()[0] == 403
    # This client hangs up while it waits for its turn.
    def post(path, body):
        answer = httpx.post(server.url + path, json=body, trust_env=False, headers={
            'x-auth-token': 'boss:lab', 'x-roles': 'admin', 'openstack-api-version': 'placement 1.39'})
        return answer.raise_for_status().json()['uuid']

    tickets = f'/resource_providers/{post("/resource_providers", {"name": "a"})}/waitlist'
    _, second = (post(tickets, {'scope': 'vm', 'id': 'a', 'lease_seconds': 600}) for _ in range(2))
    gone = server.connect()
    gone.send(f'GET {tickets}/{second}?wait=true HTTP/1.1\r\nHost: x\r\nX-Auth-Token: boss:lab\r\nX-Roles: admin\r\n'
              'OpenStack-API-Version: placement 1.39\r\n\r\n'.encode())
    await_true(lambda: 'allotment_waitlist_waiters 1\n' in httpx.get(server.url + '/metrics').text, 'no waiter')
    gone.close()
    await_true(lambda: 'status: 499' in (tmp_path / 'log').read_text(), 'not given up')
    server.stop()
    found = [json.loads(line) for line in (tmp_path / 'log').read_text().splitlines()]
    for record in found:
        assert {'time', 'level', 'module', 'pid', 'message'} <= set(record)
    [request] = [record for record in found if 'GET /traits' in record['message']]
    assert request['request_id'] == answer.headers['x-openstack-request-id']
    assert (request['global_request_id'], request['user_id'], request['project_id']) == (CALLER, 'boss', 'lab')
    assert request['module'] == 'allotment::access' and request['level'] == 'INFO'
    assert request['trace_id'] == trace.split('-')[1]
    # Other lines about a request have its facts too, as far as they are known, and so has a request that is given up.
    [denied] = [record for record in found if record['module'] == 'allotment::policy']
    assert (denied['user_id'], denied['project_id']) == ('boss', 'lab')
    assert not {'global_request_id', 'trace_id'} & set(denied)
    [given_up] = [record for record in found if 'status: 499' in record['message']]
    assert given_up['request_id'] in given_up['message'] and given_up['user_id'] == 'boss'
    [start] = [record for record in found if 'listening on http' in record['message']]
    assert set(start) == {'time', 'level', 'module', 'pid', 'message'}


def test_the_file_is_opened_again(service, tmp_path):
    file, moved = tmp_path / 'log', tmp_path / 'log.1'
    file.write_text('kept\n')
    server = service(log_file=str(file))
    ask(server, '/traits?name=in:A')
    file.rename(moved)
    ask(server, '/traits?name=in:B')
    server.process.send_signal(signal.SIGHUP)
    await_true(lambda: file.exists() and 'SIGHUP: policy' in file.read_text(), 'no new file')
    ask(server, '/traits?name=in:C')
    first, second = moved.read_text(), file.read_text()
    assert first.startswith('kept\n')
    assert 'in:A' in first and 'in:B' in first and 'in:C' not in first
    assert 'in:C' in second and 'in:B' not in second
    # Settings of the log take effect at once. A file that can't be opened leaves the log as it is.
    server.tables['log_format'] = 'json'
    server.write_config()
    server.process.send_signal(signal.SIGHUP)
    await_true(lambda: '"message":"SIGHUP: policy' in file.read_text(), 'no JSON')
    server.tables['log_file'] = '/nonexistent/log'
    server.write_config()
    server.process.send_signal(signal.SIGHUP)
    await_true(lambda: 'log_file: cannot write /nonexistent/log' in file.read_text(), 'no error')
    ask(server, '/traits?name=in:D')
    assert 'in:D' in file.read_text()
    assert 'for the next start only' not in file.read_text()


def test_a_file_that_can_not_be_opened_stops_the_start(service):
    with pytest.raises(drivers.ServerError) as error:
        service(log_file='/nonexistent/log')
    assert 'exited with 2' in str(error.value)
    assert 'log_file: cannot write /nonexistent/log: ' in str(error.value)
