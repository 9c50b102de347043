"""A Galera cluster of three MariaDB servers on loopback, and what may happen to its nodes.

The first node makes the cluster alone and stops. The others begin with copies
of its data, so that no data is transferred when the cluster is made. A node
that was killed gets what it has missed from another node's cache of writes.

Only Python's standard library is needed.
"""

import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from database_server import MAX_CONNECTIONS, START_TIMEOUT, Server, ServersError, find_program, free_port

NODES = 3
PROVIDER = ['/usr/lib/galera*/libgalera_smm.so', '/usr/lib64/galera*/libgalera_smm.so']
NOWHERE = '00000000-0000-0000-0000-000000000000:-1'

# Memory that is enough for small databases. The cache of writes is a file, of which a node that comes back
# reads what it has missed.
SMALL = ['--innodb-buffer-pool-size=32M', '--innodb-log-file-size=16M', '--innodb-log-buffer-size=2M',
         '--key-buffer-size=1M', '--aria-pagecache-buffer-size=1M', '--table-open-cache=400',
         '--table-definition-cache=400']
CACHE = '32M'


def provider():
    for pattern in PROVIDER:
        for found in glob.glob(pattern):
            return found
    raise ServersError('galera-4 is not installed (see tests/setup.sh)')


class Node(Server):
    """One server of a cluster."""

    users = ('mysql',)
    address = '127.0.0.1'
    # The options with which the first node makes its data.
    more_to_install = ()

    def __init__(self, base, detached, number, cluster):
        self.name = f'node{number}'
        self.number = number
        self.cluster = cluster
        super().__init__(base, detached)
        # For the group, for writes that a node has missed, for a whole copy of the data.
        self.group_port, self.missed_port, self.copy_port = free_port(), free_port(), free_port()
        self.start_options = []

    @property
    def data(self):
        return self.directory / 'data'

    @property
    def url(self):
        return f'mysql://root@{self.address}:{self.port}/'

    def environment(self):
        # Servers live where an unprivileged user does not look, and so does a program that the copy of the data needs.
        inherited = super().environment()
        return {**inherited, 'PATH': inherited['PATH'] + ':/usr/sbin:/sbin'}

    def command(self):
        options = {
            'base_port': self.group_port, 'gmcast.listen_addr': f'tcp://{self.address}:{self.group_port}',
            'ist.recv_addr': f'{self.address}:{self.missed_port}', 'gcache.size': CACHE,
            # A node that is silent for so long is shut out.
            'evs.suspect_timeout': f'PT{self.cluster.suspect_seconds}S',
            'evs.inactive_timeout': f'PT{3 * self.cluster.suspect_seconds}S'}
        options = ';'.join(f'{name}={value}' for name, value in options.items())
        peers = ','.join(f'{node.address}:{node.group_port}' for node in self.cluster.nodes)
        # --no-defaults keeps the system's own configuration out.
        return [find_program('mariadbd', '/usr/sbin', '/usr/libexec'), '--no-defaults',
                f'--datadir={self.data}', f'--socket={self.directory / "socket"}',
                f'--pid-file={self.directory / "pid"}', f'--bind-address={self.address}', f'--port={self.port}',
                f'--max-connections={MAX_CONNECTIONS}', '--character-set-server=utf8mb4',
                '--collation-server=utf8mb4_general_ci', *SMALL,
                # Written to the system at each COMMIT, so that kill -9 loses nothing, and never synced to disk.
                '--innodb-flush-log-at-trx-commit=2', '--sync-frm=0', '--skip-innodb-doublewrite',
                '--binlog-format=ROW', '--innodb-autoinc-lock-mode=2', '--wsrep-on=ON',
                f'--wsrep-provider={provider()}', '--wsrep-cluster-name=allotment',
                f'--wsrep-cluster-address=gcomm://{peers}', f'--wsrep-node-name={self.name}',
                f'--wsrep-node-address={self.address}:{self.group_port}', f'--wsrep-provider-options={options}',
                '--wsrep-sst-method=rsync', f'--wsrep-sst-receive-address={self.address}:{self.copy_port}',
                *self.start_options]

    def prepare(self):
        self.initialise([
            find_program('mariadb-install-db'), '--no-defaults', f'--datadir={self.data}', '--skip-test-db',
            '--auth-root-authentication-method=normal', *self.more_to_install])

    def prepare_from(self, other):
        """Copies the data of another node, which does not run."""
        shutil.copytree(other.data, self.data, ignore=shutil.ignore_patterns('galera.cache'))
        self.own(self.data, *self.data.rglob('*'))

    def own(self, *paths):
        if self.user:
            for path in paths:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def position(self):
        """The last write that the node has, as cluster and number. The node does not run."""
        text = (self.data / 'grastate.dat').read_text()
        found = [re.search(rf'^{name}:\s*(\S+)', text, re.M)[1] for name in ('uuid', 'seqno')]
        if found[1] != '-1':
            return ':'.join(found)
        # The node was killed. Its tables know.
        self.start_options = ['--wsrep-recover']
        done = subprocess.run(
            self.command(), cwd=self.directory, env=self.environment(), preexec_fn=self.drop_privileges,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        recovered = re.search(r'Recovered position:\s*(\S+:-?\d+)', done.stdout)
        if not recovered:
            raise ServersError(f'{self.name} does not know its position:\n{done.stdout[-4000:]}')
        return recovered[1]

    def begin(self, position):
        """Starts as the first node of the cluster, at the position where it was stopped."""
        cluster, _, number = position.rpartition(':')
        path = self.data / 'grastate.dat'
        path.write_text(f'# GALERA saved state\nversion: 2.1\nuuid:    {cluster}\nseqno:   {number}\n'
                        'safe_to_bootstrap: 1\n')
        self.own(path)
        self.start_options = ['--wsrep-new-cluster']
        super().launch()

    def launch(self):
        """Joins the cluster, also again after `stop` or `kill`."""
        position = self.position()
        self.start_options = [] if position == NOWHERE else [f'--wsrep-start-position={position}']
        super().launch()

    def ask(self, name):
        """A status of the server; None where the server does not answer."""
        done = subprocess.run(
            [find_program('mariadb'), '--no-defaults', '--protocol=tcp', f'-h{self.address}', f'-P{self.port}', '-uroot',
             '--connect-timeout=5', '-N', '-B', '-e', f"SHOW STATUS LIKE '{name}'"],
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True)
        fields = done.stdout.split()
        return fields[1] if done.returncode == 0 and len(fields) == 2 else None

    def answers(self):
        """Whether the node takes part."""
        return self.ask('wsrep_local_state_comment') == 'Synced' and self.ask('wsrep_ready') == 'ON'

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9: the node is gone at once."""
        self.process.kill()
        self.process.wait()

    def suspend(self):
        """SIGSTOP: the node does nothing, but is there. The others go on without it when they have shut it out."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.is_running():
            self.resume()
        super().stop()


class Cluster:
    """Three nodes. A suite that hurts them has a cluster of its own.

    The nodes are patient with each other, since a test machine may be so busy that a node is silent for some seconds.
    Galera's own default is 5 seconds.
    """

    variable = 'ALLOTMENT_TEST_GALERA_URLS'

    def __init__(self, base, detached, suspect_seconds=30):
        self.suspect_seconds = suspect_seconds
        self.directory = pathlib.Path(base) / 'galera'
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self.detached = detached
        self.nodes = []
        for number in range(1, NODES + 1):
            self.nodes.append(self.make_node(number))

    def make_node(self, number):
        return Node(self.directory, self.detached, number, self)

    def members(self):
        return self.nodes

    def start(self):
        """Makes the cluster from nothing, and starts its first node."""
        first, *others = self.nodes
        first.prepare()
        first.begin(NOWHERE)
        first.wait_until_ready()
        first.stop()
        for node in others:
            node.prepare_from(first)
        first.begin(first.position())

    def wait_until_ready(self):
        """Starts the nodes that do not run, and waits until all nodes take part."""
        running = [node for node in self.nodes if node.is_running()]
        if not running:
            running = [self.begin_again()]
        for node in running:
            node.wait_until_ready()
        for node in self.nodes:
            if node not in running:
                node.launch()
        for node in self.nodes:
            node.wait_until_ready()
        deadline = time.monotonic() + START_TIMEOUT
        while self.size() != NODES:
            if time.monotonic() > deadline:
                raise ServersError('the nodes of the cluster do not find each other')
            time.sleep(0.1)

    def begin_again(self):
        """Starts the node that knows most, where no node runs."""
        positions = {node: node.position() for node in self.nodes}
        newest = max(self.nodes, key=lambda node: int(positions[node].rpartition(':')[2]))
        newest.begin(positions[newest])
        return newest

    def heal(self):
        """Brings the cluster in order again, whatever was done to its nodes."""
        for node in self.nodes:
            if node.is_running():
                node.resume()
        self.wait_until_ready()

    def size(self):
        """The number of nodes that the running nodes see."""
        seen = {node.ask('wsrep_cluster_size') for node in self.nodes if node.is_running()}
        return int(seen.pop() or 0) if len(seen) == 1 else None

    def stop(self):
        for node in self.nodes:
            node.stop()

    def assignment(self):
        return self.variable, ','.join(node.url for node in self.nodes)
