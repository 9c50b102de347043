"""Troubles of a database server, and of the network before it."""

import contextlib
import copy
import os
import pathlib
import select
import signal
import socket
import threading
import time

import pymysql


def children(pid):
    """The processes that a process has started."""
    path = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
    return [int(child) for child in path.read_text().split()]


class Harm:
    """A database server, and what can be done to it."""

    def __init__(self, process):
        self.process = process
        self.database = None
        self.is_stopped = False

    def restart(self, down=0.0):
        self.process.stop()
        time.sleep(down)
        self.process.launch()
        self.process.wait_until_ready()

    def signal(self, number):
        pid = self.process.process.pid
        for each in [pid, *children(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

    @contextlib.contextmanager
    def stopped(self):
        """The processes do nothing, but are there."""
        self.is_stopped = True
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)
            self.is_stopped = False

    def heal(self):
        if self.is_stopped:
            self.signal(signal.SIGCONT)
        if self.process.process.poll() is not None:
            self.process.launch()
        self.process.wait_until_ready()
        self.set_idle_timeout(None)

    def administer(self, sql):
        """Runs statements by which the server is ruled; gives the rows of the last one."""
        raise NotImplementedError

    def kill_connections(self):
        """Ends all connections to the database but ours; says how many."""
        raise NotImplementedError

    def set_idle_timeout(self, seconds):
        """Idle connections that are made from now on end after so long; None for never."""
        raise NotImplementedError


class PostgreSql(Harm):
    def administer(self, sql):
        import psycopg2
        address = {'host': '127.0.0.1', 'port': self.process.port, 'user': 'postgres'}
        with contextlib.closing(psycopg2.connect(dbname='postgres', **address)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            for statement in [sql] if isinstance(sql, str) else sql:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill_connections(self):
        return len(self.administer(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
            f"WHERE datname = '{self.database.name}' AND pid <> pg_backend_pid()"))

    def set_idle_timeout(self, seconds):
        value = f"= '{seconds}s'" if seconds else '= 0'
        self.administer([f'ALTER SYSTEM SET idle_session_timeout {value}', 'SELECT pg_reload_conf()'])


class MariaDb(Harm):
    def administer(self, sql):
        with contextlib.closing(pymysql.connect(
                host='127.0.0.1', port=self.process.port, user='root')) as connection:
            cursor = connection.cursor()
            for statement in [sql] if isinstance(sql, str) else sql:
                cursor.execute(statement)
            return cursor.fetchall()

    def kill_connections(self):
        found = self.administer(
            f"SELECT id FROM information_schema.processlist WHERE db = '{self.database.name}'")
        for number, in found:
            # A process may have ended by itself.
            with contextlib.suppress(pymysql.Error):
                self.administer(f'KILL {number}')
        return len(found)

    def set_idle_timeout(self, seconds):
        self.administer(f'SET GLOBAL wait_timeout = {seconds or 28800}')


# How long a server believes in a connection of which only the other end has gone, in seconds.
NOTICED_AFTER = 0.5


class Proxy:
    """Stands before a server's port, and does to the bytes that pass what a network may do."""

    def __init__(self, port):
        self.target = port
        self.delay = 0.0
        # The bytes that come are swallowed, in both directions, and nothing is closed.
        self.is_black_hole = False
        # Once these bytes have passed to the server, no more bytes pass.
        self.last_words = None
        self.is_held = threading.Event()
        self.pairs = []
        # Connections to the server that stay open for a while when the client's end has gone.
        self.orphans = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def leading_to(self, database):
        """The database as it is reached through the proxy."""
        through = copy.copy(database)
        through.url = database.url.replace(f':{self.target}/', f':{self.port}/')
        assert through.url != database.url
        return through

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source, sink):
        try:
            while True:
                select.select([source], [], [])
                to_server = sink.getpeername()[1] == self.target
                if self.is_black_hole or (to_server and self.is_held.is_set()):
                    # The bytes are not even read, so that nothing is acknowledged once the buffers are full.
                    time.sleep(0.05)
                    continue
                data = source.recv(65536)
                if not data:
                    break
                time.sleep(self.delay)
                if to_server and self.last_words and self.last_words in data:
                    self.last_words = None
                    self.is_held.set()
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        for one in {source, sink} - self.orphans:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self, near_only=False):
        """Ends the connections that are open now; with `near_only` the server notices that a little later."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for near, far in pairs:
            if near_only:
                # Until then the server keeps the rows that an open transaction has taken.
                self.orphans.add(far)
                threading.Timer(NOTICED_AFTER, self.end_orphan, [far]).start()
            for one in [near] if near_only else [near, far]:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def end_orphan(self, far):
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def hold_after(self, last_words):
        """Lets nothing more pass to the server once these bytes have passed; returns that event."""
        self.last_words = last_words
        return self.is_held

    def release(self):
        self.is_held.clear()

    def close(self):
        self.is_black_hole = False
        self.release()
        self.listener.close()
        for far in self.orphans:
            self.end_orphan(far)
        self.cut()
