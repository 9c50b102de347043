"""The places where a storm goes on: servers of a database, with three replicas."""

import glob
import os
import pathlib
import shutil
import signal
import tempfile

import databases
import drivers
import faults
import harm
import httpx
import servers
import service as services
import waiting

REPLICAS = 3
LIBRARIES = glob.glob('/usr/lib/*/faketime/libfaketime.so.1')
# The replicas compare what they know with the database once an hour, so that no such comparison hides a change of
# which the change feed did not tell them.
TABLES = {'placement': {'recheck_seconds': 3600}, 'waitlist': {'recheck_seconds': 3600},
          'database': {'pool_size': 20, 'start_seconds': 600}}


class Replica(services.Service):
    """A replica that can be hurt. The last one has a wall clock that can be set."""

    def __init__(self, directory, database, has_clock):
        super().__init__(directory, next(drivers.PORTS), database, TABLES)
        self.clock = self.workdir / 'clock' if has_clock else None
        self.is_killed = True
        if has_clock:
            self.clock.write_text('+0')
            self.extra_environment = {
                'LD_PRELOAD': LIBRARIES[0], 'FAKETIME_TIMESTAMP_FILE': str(self.clock),
                'FAKETIME_CACHE_DURATION': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'}

    def launch(self):
        """Starts the process, and does not wait for it."""
        self.process = None
        self.is_killed = False
        self._start()

    def _wait_until_ready(self):
        pass

    def kill(self):
        self.is_killed = True
        self.process.kill()
        self.process.wait()

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def has_ended(self):
        """Whether the process ended by itself."""
        return not self.is_killed and self.process.poll() is not None

    def is_ready(self):
        try:
            return httpx.get(self.url + '/healthcheck?ready', timeout=60, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


class Place:
    """Database servers that this storm alone uses, and three replicas."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        # In the system's temporary directory, as in servers.py.
        self.base = tempfile.mkdtemp(prefix='allotment-storm-')
        os.chmod(self.base, 0o755)
        self.replicas = []

    def start(self):
        self.start_servers()
        os.environ.update([self.assignment()])
        self.database = self.kind('storm', self.directory)
        self.database.create()
        for number in range(REPLICAS):
            directory = self.directory / f'replica{number}'
            directory.mkdir()
            node = self.database.nodes[number % len(self.database.nodes)]
            self.replicas.append(Replica(directory, node, number == REPLICAS - 1))
            self.replicas[-1].launch()
            self.await_replicas()

    def await_replicas(self):
        for replica in self.replicas:
            waiting.until(replica.is_ready, f'ready: {replica.workdir}')

    def logs(self):
        """The logs by name."""
        found = {replica.workdir.name: replica.workdir / 'server.log' for replica in self.replicas}
        return {**found, **{server.directory.name: server.directory / 'log' for server in self.servers()}}

    def heal(self):
        """Ends all faults, and waits until all replicas are ready."""
        for replica in self.replicas:
            if replica.process.poll() is None:
                replica.resume()
        self.heal_servers()
        for replica in self.replicas:
            if replica.process.poll() is not None:
                replica.launch()
        self.await_replicas()

    def stop(self):
        for replica in self.replicas:
            if replica.process is not None and replica.process.poll() is None:
                replica.resume()
                replica.stop()
        self.stop_servers()
        shutil.rmtree(self.base, ignore_errors=True)


class DurablePostgreSql(servers.PostgreSql):
    """An answered COMMIT is with the operating system, so that a crash of the server loses none."""

    crash = signal.SIGQUIT

    def command(self):
        return [*super().command(), '-c', 'synchronous_commit=on']


class DurableMariaDb(servers.MariaDb):
    """The same for MariaDB, whose pages may be written by halves at a crash."""

    crash = signal.SIGKILL

    def command(self):
        return [*super().command(), '--innodb-flush-log-at-trx-commit=2', '--innodb-doublewrite=1']


class OnServer(Place):
    """One server."""

    def start_servers(self):
        self.server = self.machine(self.base, detached=False)
        self.server.start()
        self.server.wait_until_ready()
        self.harm = self.harms(self.server)

    def assignment(self):
        return self.server.assignment()

    def servers(self):
        return [self.server]

    def faults(self, rng):
        return [('restart', self.restart(rng)), ('crash', self.crash(rng)), ('SIGSTOP', faults.suspend(self, rng))]

    def restart(self, rng):
        self.server.stop()
        yield rng.uniform(0, 2)
        self.server.launch()
        self.server.wait_until_ready()

    def crash(self, rng):
        self.server.process.send_signal(self.machine.crash)
        self.server.process.wait()
        yield rng.uniform(0, 2)
        self.server.launch()
        self.server.wait_until_ready()

    def suspend(self):
        self.harm.signal(signal.SIGSTOP)

    def resume(self):
        self.harm.signal(signal.SIGCONT)

    def heal_servers(self):
        self.resume()
        if self.server.process.poll() is not None:
            self.server.launch()
        self.server.wait_until_ready()

    def stop_servers(self):
        self.resume()
        self.server.stop()


class OnPostgreSql(OnServer):
    name, kind, machine, harms = 'postgres', databases.PostgreSql, DurablePostgreSql, harm.PostgreSql


class OnMariaDb(OnServer):
    name, kind, machine, harms = 'mysql', databases.MariaDb, DurableMariaDb, harm.MariaDb
