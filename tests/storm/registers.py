"""The states in which one thing may be, after the requests about the thing.

A thing is the claim of a consumer, or a child provider. One client writes to a
thing, one request after the other. A request with a clear answer was done or
refused. A request without an answer may be done at any later time, or never. A
503 counts as no answer, since its COMMIT may have happened.
"""

import typing


class State(typing.NamedTuple):
    """The state of a thing that exists. A thing that does not exist has the state None."""
    generation: int
    holds: frozenset    # of (provider, amount)


def amounts(state):
    return dict(state.holds) if state else {}


def outcome(record):
    """The fate of a request by its answer: unsent, done, refused, or unknown."""
    if not record['sent']:
        return 'unsent'
    status = record['status']
    if status is None or status >= 500:
        return 'unknown'
    return 'done' if status < 300 else 'refused'


def is_possible(record, state):
    """Whether a thing in this state allows the write to be done."""
    if record['kind'] == 'delete':
        return state is not None
    return (state.generation if state else None) == record['generation']


def effect(record):
    """The state of the thing after the write."""
    if record['kind'] == 'delete':
        return None
    return State((record['generation'] or 0) + 1, frozenset(record['holds'].items()))


def has_reason(record, state):
    """Whether this state of the thing is a reason for the refusal, or the refusal tells nothing of the thing."""
    if record['kind'] == 'delete':
        return state is None
    if record['code'] in ('placement.concurrent_update', 'placement.duplicate_name'):
        return not is_possible(record, state)
    return True


def shown_state(record):
    """The state that the answer to a read shows."""
    seen = record['seen']
    return State(seen['generation'], frozenset(seen['holds'].items())) if seen else None


class Register:
    """One thing.

    A possibility is a state, and the requests without an answer that may still
    be done.
    """

    def __init__(self, thing):
        self.thing = thing
        self.written = []       # the writes, in their order
        self.possibilities = {(None, frozenset())}
        # Pairs of a time and the states that are possible from that time on.
        self.pieces = [(float('-inf'), frozenset([None]))]
        self.wrong = []         # pairs of a rule and a record

    def states(self):
        return frozenset(state for state, _ in self.possibilities)

    def grow(self, possibilities):
        """Adds all that the open requests of these possibilities may still do."""
        grown, todo = set(), list(possibilities)
        while todo:
            state, pending = possibility = todo.pop()
            if possibility in grown:
                continue
            grown.add(possibility)
            todo += [(effect(self.written[number]), pending - {number}) for number in pending
                     if is_possible(self.written[number], state)]
        return grown

    def take(self, record):
        """Follows one request, which began after the answer to the request before."""
        fate = outcome(record)
        before = self.states()
        if record['kind'] == 'read':
            if fate == 'done':
                self.restrict(record, 'a read shows what can not be', lambda state: state == shown_state(record))
        elif fate == 'unknown':
            self.leave_open(record)
        elif fate == 'done':
            self.apply(record)
        elif fate == 'refused':
            self.restrict(record, 'a refusal without a reason', lambda state: has_reason(record, state))
        if fate in ('done', 'refused'):
            self.pieces.append((record['begin'], before | self.states()))
            self.pieces.append((record['end'], self.states()))

    def leave_open(self, record):
        self.written.append(record)
        number = len(self.written) - 1
        self.possibilities = self.grow({(state, pending | {number}) for state, pending in self.possibilities})
        self.pieces.append((record['begin'], self.states()))

    def apply(self, record):
        self.written.append(record)
        done = {(effect(record), pending) for state, pending in self.possibilities if is_possible(record, state)}
        if not done:
            self.wrong.append(('an answer for a write that can not be', record))
            done = {(effect(record), frozenset())}
        self.possibilities = self.grow(done)

    def restrict(self, record, rule, condition):
        """Keeps the possibilities that the answer allows."""
        kept = {possibility for possibility in self.possibilities if condition(possibility[0])}
        if kept:
            self.possibilities = self.grow(kept)
        else:
            self.wrong.append((rule, record))

    def during(self, begin, end):
        """The states that are possible at any moment of this time."""
        found = set()
        for number, (since, states) in enumerate(self.pieces):
            until = self.pieces[number + 1][0] if number + 1 < len(self.pieces) else float('inf')
            if since <= end and until > begin:
                found |= states
        return found
