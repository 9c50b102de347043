"""Counts the work of a database for a request: the rows that the database has read, or SQLite's steps."""

import contextlib
import json
import pathlib
import re
import sqlite3

import machines


class MariaDb:
    """A server that takes no statistics by itself, so that they stay those of empty tables."""

    machine = machines.MariaDb
    options = ['--innodb-stats-auto-recalc=0']
    # The plans of a small fleet and of a large one differ by a few rows, and the service reads some at intervals.
    margin = 40

    def __init__(self, server, database, service):
        self.connection = database._connect()
        self._rows()
        # The question for the counters is counted too.
        self.of_question = -self._rows() + self._rows()

    def _rows(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Handler\\_read\\_%' "
                           "OR Variable_name = 'Handler_icp_attempts'")
            return sum(int(value) for _, value in cursor.fetchall())

    @contextlib.contextmanager
    def counting(self):
        before, found = self._rows(), Found()
        yield found
        found.add(self._rows() - before - self.of_question)

    @staticmethod
    def has_old_statistics(database):
        rows = database.query('SELECT max(n_rows) FROM mysql.innodb_table_stats '
                              f"WHERE database_name = '{database.name}' AND table_name IN ('allocations', 'inventories')")
        return rows == [(0,)]


class PostgreSql:
    """A server that logs each plan with the rows that each node of the plan has read. Nothing takes statistics."""

    machine = machines.PostgreSql
    options = [option for name, value in {
        'autovacuum': 'off', 'session_preload_libraries': 'auto_explain', 'auto_explain.log_min_duration': '0',
        'auto_explain.log_analyze': 'on', 'auto_explain.log_timing': 'off', 'auto_explain.log_nested_statements': 'on',
        'auto_explain.log_format': 'json'}.items() for option in ('-c', f'{name}={value}')]
    margin = 40
    PLAN = re.compile(r' plan:\n((?:\t.*\n)+)')

    def __init__(self, server, database, service):
        self.log = LogFile(server.directory / 'log')

    @contextlib.contextmanager
    def counting(self):
        found = Found()
        self.log.read()
        yield found
        for text in self.PLAN.findall(self.log.read()):
            plan = json.loads(text)
            found.add(rows_read(plan['Plan']), plan['Query Text'])

    @staticmethod
    def has_old_statistics(database):
        return database.query("SELECT max(reltuples) FROM pg_class WHERE relname IN ('allocations', 'inventories')") \
            == [(-1,)]


def rows_read(node):
    """The rows that a plan has read from tables and indexes."""
    read = 0
    if 'Relation Name' in node or 'Index Name' in node:
        of_loop = sum(node.get(name, 0) for name in (
            'Actual Rows', 'Rows Removed by Filter', 'Rows Removed by Index Recheck'))
        read = of_loop * node['Actual Loops']
    return read + sum(rows_read(child) for child in node.get('Plans', []))


class Sqlite:
    """SQLite shows its work to its own process alone. So the statements of a request are taken from the service's log,
    and run again on a copy that was made before the request. SQLite's virtual machine is counted there step by step."""

    machine = None
    options = []
    margin = 400
    LINE = re.compile(r'^\[\S+ TRACE allotment::sql\] (.*?)(?: -- binds: \[(.*)\])?$', re.M)
    # The order inside an aggregate, which older libraries do not know.
    ORDER = re.compile(r'(?<=\?) ORDER BY [^()]*\)')
    ENDS = ('BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'PRAGMA')

    def __init__(self, server, database, service):
        self.database = database
        self.log = LogFile(service.workdir / 'server.log')

    @contextlib.contextmanager
    def counting(self):
        found = Found()
        self.log.read()
        with contextlib.closing(self._copy()) as copy:
            yield found
            steps = 0

            def step():
                nonlocal steps
                steps += 1

            copy.set_progress_handler(step, 1)
            for sql, binds in self.LINE.findall(self.log.read()):
                if not sql.startswith(self.ENDS):
                    # A statement that was rolled back may fail here.
                    with contextlib.suppress(sqlite3.IntegrityError):
                        copy.execute(self.ORDER.sub(')', sql), values(binds)).fetchall()
                    found.add(steps, sql)
                    steps = 0
            copy.set_progress_handler(None, 0)

    def _copy(self):
        copy = sqlite3.connect(':memory:', isolation_level=None)
        copy.execute('PRAGMA foreign_keys = ON')
        # These functions are missing in older libraries, as Python may have.
        copy.create_function('concat_ws', -1, lambda separator, *texts: separator.join(
            str(text) for text in texts if text is not None))
        copy.create_aggregate('string_agg', 2, Joined)
        with contextlib.closing(sqlite3.connect(self.database.path)) as source:
            source.backup(copy)
        return copy

    @staticmethod
    def has_old_statistics(database):
        return database.query("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'") == [(0,)]


class Joined:
    """The aggregate string_agg."""

    def __init__(self):
        self.texts = []

    def step(self, text, separator):
        self.texts.append((separator, text or ''))

    def finalize(self):
        return ''.join(part for pair in self.texts for part in pair)[len(self.texts and self.texts[0][0] or ''):]


# A value as Rust shows it: a text, a time, nothing, a truth value, a status or a number.
VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|(\d{4}-\d\d-\d\dT[\d:.]+)|\b(None)\b|\b(true|false)\b'
                   r'|\b(Queued|Active|Finished|Expired)\b'
                   r'|(?<!\w)(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?!\w)')


def values(binds):
    """The values of a statement, from their form on the log."""
    found = []
    for text, time, nothing, truth, status, number in VALUE.findall(binds):
        if nothing:
            found.append(None)
        elif truth:
            found.append(truth == 'true')
        elif status:
            found.append(status.lower())
        elif number:
            found.append(json.loads(number))
        else:
            found.append(time.replace('T', ' ') if time else re.sub(r'\\(.)', r'\1', text))
    return found


class Found:
    """The work that was counted, and the statement that has most of it, where statements are told apart."""

    def __init__(self):
        self.work = 0
        self.most = (0, '')

    def add(self, work, statement=''):
        self.work += work
        self.most = max(self.most, (work, statement))


class LogFile:
    """A log that grows, read piece by piece."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.place = 0

    def read(self):
        with self.path.open('rb') as file:
            file.seek(self.place)
            text = file.read()
        self.place += len(text)
        return text.decode()


KINDS = {'sqlite': Sqlite, 'postgres': PostgreSql, 'mysql': MariaDb}
