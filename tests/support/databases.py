"""Databases for one test each, on SQLite, PostgreSQL, MariaDB and a Galera cluster.

The server databases are made on the servers that tests/servers/servers.py
starts; the environment names them.
"""

import contextlib
import os
import pathlib
import sqlite3
import urllib.parse

import psycopg2
import pymysql


class DatabaseError(Exception):
    """There is no server to make a database on."""


class Database:
    """A database that is created empty and dropped after its test."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = pathlib.Path(directory).resolve()

    # The address as allotment spells it, and as SQLAlchemy does.
    url = sqlalchemy_url = None

    @property
    def nodes(self):
        """The database as it is reached through each server that has it."""
        return [self]

    def create(self):
        self.drop()
        self._administer(f'CREATE DATABASE {self.name}')

    def drop(self):
        self._administer(f'DROP DATABASE IF EXISTS {self.name}')

    def query(self, sql):
        """The rows that a SELECT finds, over a connection of its own."""
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, statements):
        """Runs statements in one transaction, over a connection of its own."""
        with contextlib.closing(self._connect()) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()


class Sqlite(Database):
    def __init__(self, name, directory):
        super().__init__(name, directory)
        self.path = self.directory / f'{name}.db'
        self.url = f'sqlite://{self.path}'
        self.sqlalchemy_url = f'sqlite:///{self.path}'

    def create(self):
        # The server under test makes the file.
        self.drop()

    def drop(self):
        for suffix in ('', '-wal', '-shm'):
            pathlib.Path(f'{self.path}{suffix}').unlink(missing_ok=True)

    def _connect(self):
        return sqlite3.connect(self.path)


class ServerDatabase(Database):
    # The environment variable with the server's address; SQLAlchemy's scheme.
    variable = scheme = None

    def __init__(self, name, directory, node=0):
        super().__init__(name, directory)
        if self.variable not in os.environ:
            raise DatabaseError(
                f'{self.variable} is not set: run under '
                'tests/servers/servers.py, or see CONTRIBUTING.md')
        # The addresses of a cluster's nodes are separated by commas.
        self.server = urllib.parse.urlsplit(os.environ[self.variable].split(',')[node])
        address = self.server._replace(path=f'/{name}')
        self.url = address.geturl()
        self.sqlalchemy_url = address._replace(scheme=self.scheme).geturl()

    def _arguments(self):
        return {'host': self.server.hostname, 'port': self.server.port,
                'user': self.server.username,
                'password': self.server.password or ''}


class PostgreSql(ServerDatabase):
    variable = 'ALLOTMENT_TEST_POSTGRES_URL'
    scheme = 'postgresql+psycopg2'

    def _connect(self, database=None):
        return psycopg2.connect(dbname=database or self.name,
                                **self._arguments())

    def _administer(self, statement):
        if statement.startswith('DROP'):
            # A server under test that was killed may still be connected.
            statement += ' WITH (FORCE)'
        database = self.server.path.lstrip('/') or 'postgres'
        with contextlib.closing(self._connect(database)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)


class MariaDb(ServerDatabase):
    variable = 'ALLOTMENT_TEST_MYSQL_URL'
    scheme = 'mysql+pymysql'

    def _connect(self, database=True):
        return pymysql.connect(database=self.name if database else None,
                               **self._arguments())

    def _administer(self, statement):
        with contextlib.closing(self._connect(database=False)) as connection:
            connection.cursor().execute(statement)


class Galera(MariaDb):
    """A database on all nodes of a cluster, reached through one of them."""

    variable = 'ALLOTMENT_TEST_GALERA_URLS'

    @property
    def nodes(self):
        addresses = os.environ[self.variable].split(',')
        return [Galera(self.name, self.directory, node) for node in range(len(addresses))]

    def create(self):
        super().create()
        for node in self.nodes:
            node._connect().close()

    def _connect(self, database=True):
        connection = super()._connect(database=False)
        if database:
            # Nothing that any node has committed is missed.
            with connection.cursor() as cursor:
                cursor.execute('SET SESSION wsrep_sync_wait = 15')
                cursor.execute('SELECT 1')
            connection.select_db(self.name)
        return connection


KINDS = {'sqlite': Sqlite, 'postgres': PostgreSql, 'mysql': MariaDb, 'galera': Galera}
