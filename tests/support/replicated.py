"""Several replicas of the service on one database, and HAProxy before them."""

import os

import balancer
import drivers

# One replica shows what is HAProxy's or the cluster's doing, and not that of several replicas.
REPLICAS = int(os.environ.get('REPLICAS', '3'))


class Replicas(drivers.AllotmentServer):
    """Replicas that are configured and asked as one server. On a cluster, each has a node of its own."""

    def __init__(self, workdir, port, database):
        super().__init__(workdir, port, database)
        self.members = []
        self.front = None

    def _start(self):
        # Something that says that the service runs.
        self.process = True
        nodes = self.database.nodes
        for number in range(REPLICAS):
            directory = self.workdir / f'replica{number + 1}'
            directory.mkdir(exist_ok=True)
            member = drivers.AllotmentServer(directory, next(drivers.PORTS), nodes[number % len(nodes)])
            member.settings = self.settings
            member.policy_rules = self.policy_rules
            self.members.append(member)
            member.ensure_started()
        self.front = balancer.Balancer(self.workdir, [member.port for member in self.members], port=self.port)
        self.front.start()

    def stop(self):
        if self.front:
            self.front.stop()
        for member in self.members:
            member.stop()
        self.process = self.front = None
        self.members = []

    def kill(self):
        for member in self.members:
            member.kill()
        self.stop()


drivers.DRIVERS['replicas'] = Replicas
