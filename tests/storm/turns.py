"""The rules of queues, checked against the answers about tickets.

An answer shows the state of a ticket at some moment between the begin and the
end of the request. So a state surely came before another one only if the first
answer ended before the second request began.
"""

import collections

import registers

QUEUED, ACTIVE, ENDED = range(3)
RANKS = {'queued': QUEUED, 'active': ACTIVE, 'finished': ENDED, 'expired': ENDED}
# The clocks of two hosts may differ by this much.
LEASE_SHARE = 0.97


class Ticket:
    """The answers about one ticket."""

    def __init__(self, join):
        self.uuid, self.queue, self.join = join['ticket'], join['queue'], join
        self.shown = collections.defaultdict(list)  # records by rank
        self.fences = set()

    def show(self, rank, record):
        self.shown[rank].append(record)
        if record.get('fence') is not None:
            self.fences.add(record['fence'])

    def first_end(self, rank):
        return min(self.shown[rank], key=lambda record: record['end'])

    def last_begin(self, rank):
        return max(self.shown[rank], key=lambda record: record['begin'])


def collect(history):
    """The tickets that were answered, by uuid."""
    tickets = {}
    for record in history:
        if record['kind'] == 'join' and record['status'] == 201:
            tickets[record['ticket']] = Ticket(record)
    for record in history:
        ticket = tickets.get(record.get('ticket'))
        if ticket is None or registers.outcome(record) != 'done':
            continue
        if record['kind'] in ('join', 'look'):
            ticket.show(RANKS[record['state']], record)
        elif record['kind'] == 'put':
            ticket.show(ACTIVE, record)
        elif record['kind'] == 'leave':
            ticket.show(ENDED, record)
    return tickets


def check_ticket(ticket):
    """The states of a ticket follow each other: queued, active, ended."""
    for early in (ACTIVE, ENDED):
        for late in range(early):
            if ticket.shown[early] and ticket.shown[late]:
                after, before = ticket.first_end(early), ticket.last_begin(late)
                if before['begin'] > after['end']:
                    rule = 'an ended ticket acts' if (early, late) == (ENDED, ACTIVE) else 'a ticket goes back'
                    yield rule, [after, before]
    if len(ticket.fences) > 1:
        yield 'a ticket has two fences', ticket.shown[ACTIVE]
    for record in ticket.shown[ENDED]:
        earliest = ticket.join['begin'] + LEASE_SHARE * ticket.join['lease']
        if record.get('state') == 'expired' and record['end'] < earliest:
            yield 'a lease ends early', [ticket.join, record]


def check_refusals(history, tickets):
    """A write of a ticket that is surely active is not refused for the ticket."""
    for record in history:
        ticket = tickets.get(record.get('ticket'))
        if ticket is None or record.get('code') != 'placement.waitlist.not_active' or not ticket.shown[ACTIVE]:
            continue
        first, last = ticket.first_end(ACTIVE), ticket.last_begin(ACTIVE)
        if first['end'] < record['begin'] and record['end'] < last['begin']:
            yield 'a holder is refused', [first, record, last]


def check_queue(tickets):
    """A queue has one holder at a time, fences grow, and the order is that of the positions."""
    by_position = sorted(tickets, key=lambda ticket: ticket.join['position'])
    yield from in_order(by_position, 'a later ticket is placed before an earlier one',
                        lambda ticket: (ticket.join, ticket.join))
    holders = [ticket for ticket in tickets if ticket.shown[ACTIVE] and ticket.fences]
    by_fence = sorted(holders, key=lambda ticket: min(ticket.fences))
    for one, other in zip(by_fence, by_fence[1:]):
        records = [one.first_end(ACTIVE), other.first_end(ACTIVE)]
        if one.fences & other.fences:
            yield 'a fence is repeated', records
        if one.join['position'] > other.join['position']:
            yield 'a fence goes back', records
    # A ticket with a lower fence is no holder any more when one with a higher fence is.
    yield from in_order(by_fence, 'two holders',
                        lambda ticket: (ticket.last_begin(ACTIVE), ticket.first_end(ACTIVE)))
    yield from overtaken(by_position)


def in_order(tickets, rule, moments):
    """Finds a ticket that surely does something after a later ticket has done so."""
    latest = None
    for ticket in tickets:
        last, first = moments(ticket)
        if latest is not None and latest['begin'] > first['end']:
            yield rule, [latest, first]
        if latest is None or last['begin'] > latest['begin']:
            latest = last


def overtaken(by_position):
    """Finds a ticket that is surely queued although a later ticket of its queue was active before."""
    earliest = None
    for ticket in reversed(by_position):
        if earliest is not None and ticket.shown[QUEUED]:
            queued = ticket.last_begin(QUEUED)
            if queued['begin'] > earliest['end']:
                yield 'a ticket is overtaken', [earliest, queued]
        if ticket.shown[ACTIVE]:
            active = ticket.first_end(ACTIVE)
            if earliest is None or active['end'] < earliest['end']:
                earliest = active


def check(history):
    """Pairs of a rule that is broken and the records that show so."""
    tickets = collect(history)
    queues = collections.defaultdict(list)
    for ticket in tickets.values():
        queues[ticket.queue].append(ticket)
        yield from check_ticket(ticket)
    for each in queues.values():
        yield from check_queue(each)
    yield from check_refusals(history, tickets)


def check_rows(history, rows):
    """Compares the tickets in the database at the end with the answers: queue, position, status and fence by uuid."""
    active, fences = collections.Counter(), collections.Counter()
    for row in rows.values():
        active[row['queue']] += row['status'] == 'active'
        fences[row['queue'], row['fence']] += row['fence'] is not None
    for queue, count in active.items():
        if count > 1:
            yield 'two holders', [{'queue': queue, 'active': count}]
    for (queue, fence), count in fences.items():
        if count > 1:
            yield 'a fence is repeated', [{'queue': queue, 'fence': fence}]
    for uuid, ticket in collect(history).items():
        row = rows.get(uuid)
        if row is None:
            yield 'an answered ticket is lost', [ticket.join]
        elif ticket.shown[ENDED] and RANKS[row['status']] != ENDED:
            yield 'a released ticket lives', [*ticket.shown[ENDED], row]
        elif ticket.fences - {row['fence']} or row['position'] != ticket.join['position']:
            yield 'a ticket has two fences', [*ticket.shown[ACTIVE], row]
