"""The place of a storm on Galera: a cluster of three nodes, each in a network namespace of its own."""

import contextlib
import subprocess

import database_server
import databases
import faults
import galera
import network
import places


class Node(galera.Node):
    """A node in a namespace of its own."""

    def __init__(self, base, detached, number, cluster):
        self.network = cluster.network
        self.address = self.network.address(number)
        super().__init__(base, detached, number, cluster)

    def command(self):
        # There is nobody to ask for the name of a client.
        return [*super().command(), '--skip-name-resolve']

    def before_exec(self):
        self.network.enter(self.number)
        super().before_exec()

    def prepare(self):
        # Clients come from the host.
        grants = self.directory / 'grants.sql'
        grants.write_text("FLUSH PRIVILEGES;\nCREATE USER root@'%';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n")
        self.own(grants)
        self.more_to_install = [f'--extra-file={grants}']
        super().prepare()


class Cluster(galera.Cluster):
    def __init__(self, base, made):
        self.network = made
        # Galera's own default: the others go on without a node after this time.
        super().__init__(base, detached=False, suspect_seconds=5)

    def make_node(self, number):
        return (Node if self.network else galera.Node)(self.directory, self.detached, number, self)


class OnGalera(places.Place):
    name = 'galera'
    kind = databases.Galera
    network = cluster = None

    def start_servers(self):
        if network.is_allowed():
            self.network = network.Network(galera.NODES)
            self.network.make()
        self.cluster = Cluster(self.base, self.network)
        self.cluster.start()
        self.cluster.wait_until_ready()

    def assignment(self):
        return self.cluster.assignment()

    def servers(self):
        return self.cluster.nodes

    def is_whole(self):
        """Whether all nodes take part, so that one of them can be spared."""
        return all(node.is_running() for node in self.cluster.nodes) and self.cluster.size() == galera.NODES

    def faults(self, rng):
        # The next fault comes when all nodes are back: two nodes of three go on.
        if not self.is_whole():
            return []
        nodes = list(self.cluster.nodes)
        rng.shuffle(nodes)
        found = [('kill -9', faults.kill(nodes[0], rng)), ('SIGSTOP', faults.suspend(nodes[0], rng))]
        if self.network:
            first, second, third = nodes
            found += [('a node is cut off', self.cut([(first, second), (second, first), (first, third),
                                                      (third, first)], rng)),
                      ('a cut in one direction', self.cut([(first, second)], rng))]
        return found

    def cut(self, ways, rng):
        for node, other in ways:
            self.network.cut(node.number, other.number)
        yield rng.uniform(1, 10)
        self.network.mend()

    def heal_servers(self):
        if self.network:
            self.network.mend()
        try:
            self.cluster.heal()
        except database_server.ServersError:
            # A cluster that has lost its majority may not find it again by itself. An operator starts it anew.
            for node in self.cluster.nodes:
                if node.is_running():
                    node.kill()
            self.cluster.heal()

    def stop_servers(self):
        with contextlib.suppress(subprocess.SubprocessError):
            if self.cluster:
                self.cluster.stop()
        if self.network:
            self.network.remove()
