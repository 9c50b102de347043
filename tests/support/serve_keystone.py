"""Serve Keystone over HTTP: serve_keystone.py CONFIG_DIR PORT [CERTIFICATE KEY].

With a certificate it is HTTPS. REQUESTS in CONFIG_DIR has a line for each request, and
TRACES one with its headers about traces. The servers of one directory answer one at a time, since they
share a database of SQLite, where two log-ins at once may end in "database is locked".
"""

import fcntl
import os
import pathlib
import socketserver
import ssl
import sys
from wsgiref import simple_server


class Recorded:
    """Lets one request go on at a time, and notes it before Keystone has it."""

    def __init__(self, application, config_dir):
        self.application = application
        self.path, self.traces = config_dir / 'REQUESTS', config_dir / 'TRACES'
        self.turn = config_dir.parent / 'TURN'

    def __call__(self, environ, start_response):
        query = environ.get('QUERY_STRING')
        target = environ['PATH_INFO'] + (f'?{query}' if query else '')
        # Each opens it anew, so that the lock is also one between threads.
        with open(self.turn, 'a') as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with open(self.path, 'a') as requests:
                requests.write(f'{environ["REQUEST_METHOD"]} {target}\n')
            trace = [environ.get(f'HTTP_{name}', '-') for name in ('TRACEPARENT', 'TRACESTATE')]
            with open(self.traces, 'a') as traces:
                traces.write(' '.join([environ['REQUEST_METHOD'], *trace]) + '\n')
            return self.application(environ, start_response)


class Threaded(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


def main(config_dir, port, certificate=None, key=None, clients=None):
    os.environ['OS_KEYSTONE_CONFIG_DIR'] = config_dir
    # Keystone would take ours for its own.
    del sys.argv[1:]
    from keystone.wsgi import api

    application = Recorded(api.application, pathlib.Path(config_dir))
    if certificate is None:
        import waitress
        waitress.serve(application, host='127.0.0.1', port=int(port), threads=4)
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        # Only clients with a certificate of this authority may speak.
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server = simple_server.make_server('127.0.0.1', int(port), application, server_class=Threaded)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == '__main__':
    main(*sys.argv[1:])
