"""The checker finds planted faults, and nothing in good traces, also where requests have no answer."""

import pathlib

import checker
import history as histories
import planted
import pytest
import registers

RECORDED = pathlib.Path(__file__).resolve().parent / 'recorded'
HOST, OTHER, CLAIM = 'host', 'other host', 'claim'
WORLD = {'capacity': {HOST: 10, OTHER: 10}, 'groups': {'group': [HOST, OTHER]}, 'pairs': [[HOST, OTHER]], 'shared': [],
         'generations': {HOST: 0, OTHER: 0}, 'queues': [], 'others': []}


@pytest.fixture(scope='module')
def recorded():
    return histories.load(RECORDED)


def test_a_good_trace(recorded):
    assert checker.check(*recorded) == []


@pytest.mark.parametrize('plant', planted.PLANTED, ids=lambda plant: plant.__name__)
def test_planted(recorded, plant):
    trace = planted.Trace(*recorded)
    expected = plant(trace)
    assert expected in trace.rules()


def request(kind, begin, status, **more):
    """A request about the claim that takes a second."""
    return {'kind': kind, 'type': 'consumer', 'thing': CLAIM, 'sent': True, 'status': status, 'code': None,
            'retry_after': True, 'begin': begin, 'end': begin + 1, **more}


def put(begin, status, generation=None, **more):
    return request('put', begin, status, **{'generation': generation, 'holds': {HOST: 1}, **more})


def at_end(generation):
    """The end with the claim in this generation, or without the claim."""
    rows = [(CLAIM, generation)] if generation else []
    return {'stores': [{
        'name': 'node', 'consumers': dict(rows), 'consumer_rows': rows, 'tickets': {},
        'allocations': [(CLAIM, HOST, 1)] if generation else [], 'providers': {HOST: generation or 0, OTHER: 0},
        'parents': {HOST: None, OTHER: None}}], 'pictures': [], 'complaints': []}


def possible_at_end(*records):
    """The generations that the claim may have at the end; 0 if it may be absent."""
    return {generation for generation in range(5) if not
            [finding for finding in checker.check(WORLD, records, at_end(generation))
             if finding.rule not in ('a generation goes back', 'a write is done twice')]}


NONE = None
READ_NOTHING = {'seen': None}
READ_CLAIM = {'seen': {'generation': 1, 'holds': {HOST: 1}}}


@pytest.mark.parametrize('records, possible', [
    ([put(1, 204)], {1}),
    ([put(1, 409)], {0}),
    ([put(1, NONE)], {0, 1}),
    ([put(1, 503)], {0, 1}),
    ([put(1, NONE, sent=False)], {0}),
    ([put(1, 204), put(3, 204, 1)], {2}),
    ([put(1, 204), put(3, NONE, 1)], {1, 2}),
    ([put(1, 204), request('delete', 3, 204)], {0}),
    ([put(1, 204), request('delete', 3, NONE)], {0, 1}),
    # A write without an answer may come late.
    ([put(1, NONE), request('read', 3, 200, **READ_NOTHING)], {0, 1}),
    ([put(1, NONE), request('delete', 3, 404)], {0, 1}),
    # It comes once.
    ([put(1, NONE), request('read', 3, 200, **READ_CLAIM)], {1}),
    ([put(1, NONE), request('delete', 3, 204)], {0}),
    ([put(1, NONE), request('read', 3, 200, **READ_CLAIM), request('delete', 5, 204)], {0}),
    ([put(1, 204), put(3, NONE, 1), put(5, 204, 2)], {3}),
    ([put(1, 204), put(3, NONE, 1), put(5, 409, 2, code='placement.concurrent_update')], {1, 2}),
    ([put(1, 204), put(3, NONE, 1), request('delete', 5, 204)], {0}),
    ([put(1, 204), request('delete', 3, NONE), request('read', 5, 200, **READ_NOTHING)], {0}),
    ([put(1, 204), request('delete', 3, NONE), request('read', 5, 200, **READ_CLAIM)], {0, 1}),
])
def test_requests_without_an_answer(records, possible):
    assert possible_at_end(*records) == possible


@pytest.mark.parametrize('begin, right', [
    (0.0, {0}),         # ended before the claim began
    (0.5, {0, 1}),      # overlaps the claim
    (1.5, {0, 1}),
    (2.5, {1}),         # began after the answer
    (4.5, {0, 1}),      # overlaps the release
    (6.5, {0}),
])
def test_searches_at_the_time_of_a_write(begin, right):
    def found(used):
        search = {'kind': 'search', 'group': 'group', 'amount': 1, 'limit': 5, 'sent': True, 'status': 200,
                  'retry_after': False, 'begin': begin, 'end': begin + 0.9, 'used': {HOST: used}, 'offered': [HOST]}
        return checker.check(WORLD, [put(1, 204), request('delete', 5, 204), search])
    assert {used for used in range(3) if not found(used)} == right


def test_a_claim_holds_from_its_answer_until_its_release_begins():
    def sold(begin):
        other = put(begin, 204, thing='another claim', holds={HOST: 10})
        return [finding.rule for finding in
                checker.check(WORLD, [put(1, 204), request('delete', 5, 204), other])]
    assert sold(0.5) == sold(2.5) == ['oversold']
    assert sold(4.5) == sold(6) == []


def test_possible_states_are_those_of_the_time():
    register = registers.Register(CLAIM)
    for record in [put(1, 204), request('delete', 5, NONE)]:
        register.take(record)
    claimed = registers.State(1, frozenset([(HOST, 1)]))
    assert register.during(0, 0.9) == {None}
    assert register.during(1.5, 1.6) == {None, claimed}
    assert register.during(3, 4) == {claimed}
    assert register.during(100, 101) == {None, claimed}
