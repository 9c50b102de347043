"""The service with any settings, and connections to it byte by byte."""

import json
import pathlib
import re
import socket
import ssl
import time

import drivers

# How long anything may take, far more than it should: no test measures time.
PATIENCE = 60


def toml(tables):
    """Settings as TOML: JSON's strings, numbers, lists are TOML's too."""
    plain = {k: v for k, v in tables.items() if not isinstance(v, dict)}
    lines = [f'{key} = {json.dumps(value)}' for key, value in plain.items()]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines.append(f'[{name}]')
            lines += [f'{k} = {json.dumps(v)}' for k, v in table.items()]
    return '\n'.join(lines) + '\n'


class Service(drivers.AllotmentServer):
    """A server whose settings are its own."""

    def __init__(self, directory, port, database, tables):
        super().__init__(directory, port, database)
        self.tables = tables
        self.file = self.workdir / 'allotment.toml'

    def write_config(self, policy_file=None):
        tables = {'listen': f'127.0.0.1:{self.port}', **self.tables}
        tables['database'] = {'url': self.database.url, **tables.get('database', {})}
        self.file.write_text(toml(tables))

    def log(self):
        return (self.workdir / 'server.log').read_text()

    def await_log(self, words, count=1):
        await_true(lambda: self.log().count(words) >= count, f'not logged: {words}')

    def memory(self, field='VmRSS'):
        """Memory of the process, in bytes: VmRSS now, VmHWM at most."""
        status = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(rf'^{field}:\s+(\d+) kB', status, re.M)[1]) * 1024

    def connect(self):
        return Connection(self.port)


def await_true(condition, complaint):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)


class Connection:
    """A connection to the service, of which a test decides each byte."""

    def __init__(self, port, context=None):
        self.rest = b''
        self.socket = socket.create_connection(('127.0.0.1', port), PATIENCE)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname='localhost')

    def send(self, data):
        """Send; False when the other side has closed."""
        try:
            self.socket.sendall(data)
        except (ConnectionError, ssl.SSLError):
            return False
        return True

    def read_to_end(self):
        """All that comes until the service closes the connection."""
        data = self.rest
        try:
            while part := self.socket.recv(65536):
                data += part
        except ConnectionError:
            pass  # A reset, when it did not want what was sent.
        return data

    def read_answer(self):
        """Status and body of one answer, which must have a length. Later bytes are kept for the next answer."""
        data = self.rest
        while b'\r\n\r\n' not in data:
            part = self.socket.recv(65536)
            assert part, f'closed after {data}'
            data += part
        head, body = data.split(b'\r\n\r\n', 1)
        length = re.search(rb'content-length: (\d+)', head, re.I)
        length = int(length[1]) if length else 0
        while len(body) < length:
            body += self.socket.recv(65536)
        body, self.rest = body[:length], body[length:]
        return int(head.split(b' ')[1]), body

    def close(self):
        self.socket.close()


def status(data):
    """The status of the first answer in what came; None where there is none."""
    found = re.match(rb'HTTP/1\.1 (\d+)', data)
    return int(found[1]) if found else None


HEAD = b'Host: x\r\nX-Auth-Token: admin\r\n'
GET = b'GET / HTTP/1.1\r\n' + HEAD + b'\r\n'
POST = (b'POST /resource_providers HTTP/1.1\r\n' + HEAD
        + b'Content-Type: application/json\r\n')
