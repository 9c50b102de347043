"""A network for the nodes of a cluster: each has a namespace and an address of its own.

Between two nodes, packets can be lost. Namespaces do it as a cable does: the
nodes see no error, only silence, and their clients on the host still reach
them. Only root can make namespaces.
"""

import contextlib
import ctypes
import os
import random
import re
import shutil
import subprocess

PROGRAM = shutil.which('ip', path=os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin')
LIBC = ctypes.CDLL(None, use_errno=True)
# Nobody has this address on the wire.
NOBODY = '02:00:00:00:00:01'


def ip(*words):
    return subprocess.run([PROGRAM, *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True).stdout


def is_allowed():
    """Whether namespaces can be made here."""
    name = f'storm{os.getpid()}x'
    try:
        ip('netns', 'add', name)
        ip('netns', 'del', name)
    except (OSError, TypeError, subprocess.CalledProcessError):
        return False
    return True


class Network:
    """A bridge on the host, and a namespace for each node."""

    def __init__(self, nodes):
        self.name = f'storm{os.getpid()}'
        # Addresses that are meant for tests of networks.
        self.prefix = f'198.18.{random.randrange(256)}'
        self.nodes = nodes

    def address(self, node):
        """The address of a node; of the host for 0."""
        return f'{self.prefix}.{node + 1}'

    def namespace(self, node):
        return f'{self.name}n{node}'

    def make(self):
        sweep()
        ip('link', 'add', self.name, 'type', 'bridge')
        ip('addr', 'add', f'{self.address(0)}/24', 'dev', self.name)
        ip('link', 'set', self.name, 'up')
        for node in range(1, self.nodes + 1):
            namespace, cable = self.namespace(node), f'{self.name}v{node}'
            ip('netns', 'add', namespace)
            ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
            ip('link', 'set', cable, 'master', self.name, 'up')
            ip('-n', namespace, 'addr', 'add', f'{self.address(node)}/24', 'dev', 'eth0')
            ip('-n', namespace, 'link', 'set', 'eth0', 'up')
            ip('-n', namespace, 'link', 'set', 'lo', 'up')

    def enter(self, node):
        """Takes the calling process into the namespace of a node."""
        descriptor = os.open(f'/run/netns/{self.namespace(node)}', os.O_RDONLY)
        if LIBC.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), 'setns')
        os.close(descriptor)

    def cut(self, node, other):
        """Packets from one node to another are lost from now on."""
        ip('-n', self.namespace(node), 'neigh', 'replace', self.address(other), 'lladdr', NOBODY, 'dev', 'eth0',
           'nud', 'permanent')

    def mend(self):
        for node in range(1, self.nodes + 1):
            for other in range(1, self.nodes + 1):
                with contextlib.suppress(subprocess.CalledProcessError):
                    ip('-n', self.namespace(node), 'neigh', 'del', self.address(other), 'dev', 'eth0')

    def remove(self):
        remove(self.name)


def remove(name):
    for namespace in re.findall(rf'^({name}\w\S*)', ip('netns', 'list'), re.M):
        ip('netns', 'del', namespace)
    with contextlib.suppress(subprocess.CalledProcessError):
        ip('link', 'del', name)


def sweep():
    """Removes the networks of test runs that were killed."""
    for name in set(re.findall(r'\b(storm\d+)\b', ip('-o', 'link', 'show', 'type', 'bridge'))):
        if not os.path.exists(f'/proc/{name.removeprefix("storm")}'):
            remove(name)
