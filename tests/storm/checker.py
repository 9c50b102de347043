"""Finds what a history of requests and the end of it have that no correct service gives.

`check(world, history, end)` is a pure function. tests/README.md has the form of
its arguments.
"""

import bisect
import collections
import functools
import itertools

import pictures
import registers
import sums
import turns

# The answers that a request may have, besides 503.
STATUSES = {'put': {200, 204, 409}, 'delete': {204, 404}, 'read': {200}, 'search': {200}, 'list': {200},
            'claims': {200}, 'join': {201, 409}, 'look': {200}, 'leave': {204}}


# The end, as a request to the database.
AT_END = {'kind': 'end', 'begin': float('inf')}
# The parts of an answer that make a record hard to read.
LONG = ('used', 'offered', 'children', 'generations', 'claims', 'text')


class Finding(collections.namedtuple('Finding', ['rule', 'records', 'detail'], defaults=[''])):
    """A rule that is broken, and the records that show so."""

    def __str__(self):
        return '\n'.join([f'{self.rule}: {self.detail}', *(f'    {shortened(record)}' for record in self.records)])


def shortened(record):
    """A record without the long parts of an answer."""
    return {key: value for key, value in record.items() if key not in LONG}


class Past:
    """A history, with all that can be told from it about each moment."""

    def __init__(self, world, history):
        self.world = world
        self.requests = [record for record in history if record['kind'] in STATUSES]
        self.requests.sort(key=lambda record: record['begin'])
        self.pairs = {provider: '+'.join(pair) for pair in world['pairs'] for provider in pair}
        self.registers = {}
        for record in self.requests:
            if record['kind'] in ('put', 'delete', 'read'):
                thing = record['thing']
                if thing not in self.registers:
                    self.registers[thing] = registers.Register(thing)
                self.registers[thing].take(record)
        self.children = {record['thing'] for record in self.requests if record.get('type') == 'child'}
        self.used, self.offspring = collections.defaultdict(sums.Sum), collections.defaultdict(sums.Sum)
        for thing, register in self.registers.items():
            into = self.offspring if thing in self.children else self.used
            sums.add_pieces(register.pieces, self.values, into)
        for each in [*self.used.values(), *self.offspring.values()]:
            each.close()

    def values(self, state):
        """The amounts of a state by provider, and by pair of providers."""
        values = collections.Counter()
        for provider, amount in registers.amounts(state).items():
            values[provider] += amount
            if provider in self.pairs:
                values[self.pairs[provider]] += amount
        return values

    @functools.cached_property
    def generations(self):
        """The least and the greatest generation of each provider, as functions of time."""
        found = {provider: Generation(base) for provider, base in self.world['generations'].items()}
        for record in self.requests:
            fate = registers.outcome(record)
            if record['kind'] == 'put' and record['type'] == 'consumer' and fate in ('done', 'unknown'):
                for provider in record['holds']:
                    found[provider].write(record, fate == 'done')
            for provider, generation in record.get('generations', {}).items():
                if provider in found:
                    found[provider].show(record, generation)
        for each in found.values():
            each.close()
        return found


class Generation:
    """The generation of a provider. Each claim on the provider is one step.

    The database never shows less than any answer before. A picture shows at least the writes that were answered before,
    and the earlier pictures of the same replica: one replica may show a write before another replica has answered it.
    """

    def __init__(self, base):
        self.base = base
        self.done, self.begun = [], []
        # Pairs of a time and the greatest generation that was shown by then: in all answers, and in lists by replica.
        self.shown = collections.defaultdict(list)

    def write(self, record, is_done):
        self.begun.append(record['begin'])
        if is_done:
            self.done.append(record['end'])

    def show(self, record, generation):
        self.shown['all'].append((record['end'], generation))
        if record['kind'] == 'list':
            self.shown[record['replica']].append((record['end'], generation))

    def close(self):
        self.done.sort()
        self.begun.sort()
        for each in self.shown.values():
            each.sort()
            greatest = itertools.accumulate((generation for _, generation in each), max)
            each[:] = [(time, generation) for (time, _), generation in zip(each, greatest)]

    def least(self, record):
        """The least generation that the answer to this request may show."""
        shown = self.shown[record['replica'] if record['kind'] == 'list' else 'all']
        before = bisect.bisect_left(shown, (record['begin'],))
        answered = self.base + bisect.bisect_left(self.done, record['begin'])
        return max(answered, shown[before - 1][1] if before else 0)

    def most(self, time):
        """The greatest generation that the provider may have at this time."""
        return self.base + bisect.bisect_right(self.begun, time)


def check_answers(past):
    """A fault is a 503 that tells when to come again. No other answer is a surprise."""
    for record in past.requests:
        status = record['status']
        if status == 503 and not record['retry_after']:
            yield Finding('a 503 without Retry-After', [record])
        elif status is not None and status != 503 and status not in STATUSES[record['kind']]:
            yield Finding('an unexpected answer', [record])


def check_registers(past):
    for register in past.registers.values():
        for rule, record in register.wrong:
            yield Finding(rule, [*register.written[-4:], record])


def check_capacity(past):
    """At no time claims that were answered and not given up take more than there is."""
    for provider, capacity in past.world['capacity'].items():
        taken, time = past.used[provider].surely() if provider in past.used else (0, 0)
        if taken > capacity:
            yield Finding('oversold', [], f'{provider} has {capacity}, and {taken} are claimed at {time}')


def check_consumers_at_end(past, store):
    """Each thing is as its requests allow, and nothing is there that nobody has made."""
    allocations = collections.defaultdict(dict)
    for consumer, provider, used in store['allocations']:
        if consumer not in store['consumers']:
            yield Finding('an allocation without a consumer', [], f'{consumer} on {provider}')
        if provider not in store['providers']:
            yield Finding('an allocation without a provider', [], f'{consumer} on {provider}')
        if provider in allocations[consumer]:
            yield Finding('an allocation that is there twice', [], f'{consumer} on {provider}')
        allocations[consumer][provider] = used
    rows = collections.Counter(uuid for uuid, _ in store['consumer_rows'])
    for consumer, generation in store['consumers'].items():
        if rows[consumer] > 1:
            yield Finding('a consumer that is there twice', [], consumer)
        if consumer not in allocations:
            yield Finding('a consumer without an allocation', [], consumer)
        if consumer not in past.registers:
            yield Finding('a consumer that nobody has made', [], consumer)
    for thing, register in past.registers.items():
        if thing in past.children:
            parent = store['parents'].get(thing)
            state = registers.State(1, frozenset([(parent, 1)])) if thing in store['providers'] else None
        elif thing in store['consumers']:
            state = registers.State(store['consumers'][thing], frozenset(allocations[thing].items()))
        else:
            state = None
        yield from compare_state(register, state)


def compare_state(register, state):
    possible = register.states()
    if state in possible:
        return
    if state is None:
        rule = 'an answered write is missing at the end'
    elif possible == {None}:
        rule = 'a thing that must be gone is there at the end'
    else:
        rule = 'a thing differs at the end'
    yield Finding(rule, register.written[-4:], f'{register.thing} is {state}, and may be {list(possible)}')


def check_providers_at_end(past, store):
    used = collections.Counter()
    for _, provider, amount in store['allocations']:
        used[provider] += amount
    for provider, capacity in past.world['capacity'].items():
        if used[provider] > capacity:
            yield Finding('oversold at the end', [], f'{provider} has {capacity}, and {used[provider]} are taken')
        generation = store['providers'].get(provider)
        range_ = past.generations[provider]
        if generation is None:
            yield Finding('a provider is missing at the end', [], provider)
        elif generation < range_.least(AT_END):
            yield Finding('a generation goes back', [], f'{provider}: {generation} at the end, and '
                          f'{range_.least(AT_END)} before')
        elif generation > range_.most(float('inf')):
            yield Finding('a write is done twice', [], f'{provider}: generation {generation} at the end, and '
                          f'{range_.most(float("inf"))} at most')
    known = past.world['capacity'].keys() | past.children | set(past.world['others'])
    for provider in store['providers'].keys() - known:
        yield Finding('a provider that nobody has made', [], provider)


def check_end(past, end):
    """All nodes and all pictures agree with each other and with the history."""
    if not end:
        return
    first, *others = end['stores']
    for other in others:
        for part in first:
            if part != 'name' and first[part] != other[part]:
                yield Finding('nodes differ', [], f'{part} of {first["name"]} and {other["name"]}: '
                              f'{difference(first[part], other[part])}')
    yield from check_consumers_at_end(past, first)
    yield from check_providers_at_end(past, first)
    for rule, records in turns.check_rows(past.requests, first['tickets']):
        yield Finding(rule, records, 'at the end')
    for picture in end['pictures']:
        expected = pictures.expected(past.world, first)
        for part in expected:
            if picture[part] != expected[part]:
                yield Finding('a picture differs', [], f'{part} through {picture["name"]}, and in the database: '
                              f'{difference(picture[part], expected[part])}')
    for complaint in end['complaints']:
        yield Finding('the end is not reached', [], complaint)


def difference(one, other):
    """The entries in which two values differ, a few of them."""
    if isinstance(one, dict):
        one, other = one.items(), other.items()
    one, other = ({repr(each) for each in value} for value in (one, other))
    return f'only {sorted(one - other)[:5]}, and only {sorted(other - one)[:5]}'


def check(world, history, end=None):
    """All that is wrong, as a list of findings."""
    past = Past(world, history)
    found = [*check_answers(past), *check_registers(past), *check_capacity(past)]
    for rule, records, detail in pictures.check(past):
        found.append(Finding(rule, records, detail))
    for rule, records in turns.check(past.requests):
        found.append(Finding(rule, records))
    return [*found, *check_end(past, end)]
