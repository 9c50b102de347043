"""Allocation candidates are upstream's, but for what upstream gets wrong, and
so are filtered lists of providers.

Both servers look at one database: ours writes random fleets to it, then both
are asked the same questions.
"""

import collections
import os
import random

import api
import drivers
import pytest
import worlds

CASES = int(os.environ.get('ALLOTMENT_TEST_CASES', 300))
QUERIES_PER_WORLD = 25
LISTS_PER_WORLD = 10


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_same_candidates(serve, database):
    ours = api.Api(serve(drivers.AllotmentServer).url)
    # Before upstream starts, since it keeps the names that it has seen.
    worlds.write_names(ours)
    theirs = api.Api(serve(drivers.UpstreamServer).url)
    first = worlds.seed()
    counts = collections.Counter()
    for seed in range(first, first + -(-CASES // QUERIES_PER_WORLD)):
        rng = random.Random(seed)
        world = worlds.World(rng, f'world-{seed}')
        world.write(ours)
        world.use(ours, rng)
        for _ in range(LISTS_PER_WORLD):
            compare_lists(ours, theirs, worlds.ListQuery(rng, world))
        for _ in range(QUERIES_PER_WORLD):
            query = worlds.Query(rng, world)
            outcome = compare(ours, theirs, world, query)
            counts[outcome] += 1
            if outcome == 'different':
                print(f'ALLOTMENT_TEST_SEED={seed}', query.version, query.text)
        world.delete(ours)
    print(dict(counts))
    assert not counts['different']
    assert counts['same'] > CASES / 5, 'few questions had an answer'


def compare(ours, theirs, world, query):
    """The result of a request to both servers; known faults of upstream have words of their own."""
    path = f'/allocation_candidates?{query.text}'
    expected, answer = (server.send('GET', path, version=query.version)
                        for server in (theirs, ours))
    assert answer.status_code == 200, (query.text, answer.text)
    if expected.status_code == 500:
        return 'upstream fails'
    expected, answer = (worlds.normalised(response.json())
                        for response in (expected, answer))
    if expected == answer:
        return 'same' if answer[0] else 'none'
    if adds_up(query):
        return 'upstream changes amounts'
    if filters_nothing(query):
        return 'upstream misreads groups without resources'
    if is_loss(world, query, expected, answer):
        return 'upstream loses candidates'
    return 'different'


def compare_lists(ours, theirs, query):
    path = f'/resource_providers?{query.text}'
    expected, answer = (server.send('GET', path, version=query.version)
                        for server in (theirs, ours))
    assert answer.status_code == expected.status_code == 200, query.text
    if answer.json()['resource_providers']:
        # Otherwise it is that of the answer.
        assert answer.headers.get('last-modified') == \
            expected.headers.get('last-modified'), (query.version, query.text)
    expected, answer = ({provider.pop('uuid'): provider for provider
                         in response.json()['resource_providers']}
                        for response in (expected, answer))
    assert answer == expected, (query.version, query.text)


def adds_up(query):
    """Whether upstream writes sums into what other candidates are made of.

    Where the unsuffixed and another group take the same class of the same
    provider, it adds to the first's amount in place, except with
    group_policy=none.
    """
    return query.policy != 'none' and '' in query.groups and any(
        query.classes('') & query.classes(suffix)
        for suffix in query.groups if suffix)


def filters_nothing(query):
    """Whether a group without resources has but what upstream ignores there:
    in_tree, or nothing that selects providers, when it finds none.
    """
    return any(
        query.values(suffix, 'in_tree') or not (
            selects(query.values(suffix, 'required'))
            or selects(query.values(suffix, 'member_of')))
        for suffix in query.groups if not query.classes(suffix))


def selects(values):
    return any(not value.startswith('!in:') and any(
        not part.startswith('!') for part in value.split(','))
        for value in values)


def is_loss(world, query, expected, answer):
    """Whether all that upstream lacks has its unsuffixed group met by sharing
    providers alone: it takes those for equal that differ in the anchor.
    """
    if len(query.groups) < 2 or '' not in query.groups:
        return False
    left = list(answer[0])
    for candidate in expected[0]:
        if candidate not in left:
            return False
        left.remove(candidate)
    sharing = {provider.uuid for provider in world.providers
               if worlds.SHARING in provider.traits}
    if query.minor < 34:
        # Before there were mappings, what served the group can't be told.
        return bool(sharing)
    return all(sharing.issuperset(dict(mappings)['']) for _, mappings in left)
