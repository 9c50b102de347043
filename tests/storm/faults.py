"""The faults of a storm: one every few seconds, of a replica, of a database server or of the network.

A fault is a generator. It yields the seconds until its next step. All steps run
on one thread, since a process ends with the thread that has started it.
"""

import time

PAUSES = (1.5, 5.0)
SERVERS = 'database servers'


class Faults:
    """Draws faults and lets them happen, two at a time at most, each to another target."""

    def __init__(self, place, rng, history):
        self.place, self.rng, self.history = place, rng, history
        self.under_way = {}     # target -> time of the next step, generator, record
        self.complaints = []

    def run(self, is_over):
        due = time.monotonic() + self.rng.uniform(*PAUSES)
        while not is_over():
            self.advance(time.monotonic())
            self.look_for_ends()
            if time.monotonic() > due:
                self.begin()
                due = time.monotonic() + self.rng.uniform(*PAUSES)
            time.sleep(0.02)
        for _, generator, record in list(self.under_way.values()):
            # The last steps end the faults.
            for _ in generator:
                pass
            record['end'] = time.monotonic()
        self.under_way.clear()

    def advance(self, now):
        for target, (due, generator, record) in list(self.under_way.items()):
            if now < due:
                continue
            try:
                self.under_way[target] = (now + next(generator), generator, record)
            except StopIteration:
                record['end'] = time.monotonic()
                del self.under_way[target]

    def begin(self):
        if len(self.under_way) > 1:
            return
        number = self.rng.randrange(len(self.place.replicas))
        replica = self.place.replicas[number]
        choices = [
            ('kill -9', f'replica {number}', kill(replica, self.rng)),
            ('SIGSTOP', f'replica {number}', suspend(replica, self.rng)),
            ('a clock is set', f'replica {len(self.place.replicas) - 1}', set_clock(self.place.replicas[-1], self.rng)),
            # The servers have one fault at a time.
            *([] if SERVERS in self.under_way else
              [(name, SERVERS, generator) for name, generator in self.place.faults(self.rng)]),
        ]
        name, target, generator = self.rng.choice(choices)
        if target in self.under_way:
            return
        record = {'kind': 'fault', 'fault': name, 'target': target, 'begin': time.monotonic(), 'end': None}
        self.history.append(record)
        self.under_way[target] = (0, generator, record)

    def look_for_ends(self):
        """A replica that ends by itself is a fault of the service. It is started again."""
        for replica in self.place.replicas:
            if replica.has_ended():
                self.complaints.append(f'{replica.workdir.name} ended with {replica.process.returncode}')
                replica.launch()


def kill(process, rng):
    process.kill()
    yield rng.uniform(0, 4)
    process.launch()


def suspend(process, rng):
    process.suspend()
    yield rng.uniform(1, 8)
    process.resume()


def set_clock(replica, rng):
    replica.clock.write_text(f'{rng.choice([0, -300, -20, -2, 2, 20, 300]):+d}')
    yield 0
