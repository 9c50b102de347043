"""The least and the greatest value of a sum over time."""

import bisect
import itertools


class Sum:
    """A sum whose parts have a least and a greatest value that change with time."""

    def __init__(self):
        self.changes = []
        self.times, self.least, self.most = [float('-inf')], [0], [0]

    def change(self, time, least, most):
        """From this time on, the part is greater by this much at least and at most."""
        self.changes.append((time, least, most))

    def close(self):
        """After the last change, before the first question."""
        self.changes.sort()
        self.times += [time for time, _, _ in self.changes]
        self.least = list(itertools.accumulate((least for _, least, _ in self.changes), initial=0))
        self.most = list(itertools.accumulate((most for _, _, most in self.changes), initial=0))

    def during(self, begin, end):
        """The least and the greatest value at any moment of this time."""
        first = bisect.bisect_right(self.times, begin) - 1
        last = bisect.bisect_right(self.times, end)
        return min(self.least[first:last]), max(self.most[first:last])

    def surely(self):
        """The greatest value that the sum surely had, and the time of that. Changes of one moment are one."""
        best = (0, float('-inf'))
        for number, least in enumerate(self.least):
            is_last = number + 1 == len(self.times) or self.times[number + 1] > self.times[number]
            if is_last and least > best[0]:
                best = (least, self.times[number])
        return best


def add_pieces(pieces, values, sums):
    """Adds a register to sums: `values` tells for a state the value of each key."""
    before = {}
    for time, states in pieces:
        told = [values(state) for state in states]
        keys = {key for each in told for key in each}
        now = {key: (min(each.get(key, 0) for each in told), max(each.get(key, 0) for each in told)) for key in keys}
        for key in before.keys() | now.keys():
            old, new = before.get(key, (0, 0)), now.get(key, (0, 0))
            if old != new:
                sums[key].change(time, new[0] - old[0], new[1] - old[1])
        before = now
