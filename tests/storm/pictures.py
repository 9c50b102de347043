"""The freshness of searches and lists: an answer shows no state that is older than the begin of its request."""

import registers


def check(past):
    """Triples of a rule that is broken, the records that show so, and the detail."""
    for record in past.requests:
        if registers.outcome(record) != 'done':
            continue
        if record['kind'] == 'search':
            yield from check_search(past, record)
        if 'children' in record:
            yield from check_children(past, record)
        if record['kind'] == 'claims':
            yield from check_claims(past, record)
        yield from check_generations(past, record)


def check_search(past, record):
    """The usage of each provider is one between the begin and the end, and an offer has room."""
    begin, end, amount = record['begin'], record['end'], record['amount']
    for provider in past.world['groups'][record['group']]:
        capacity, used = past.world['capacity'][provider], record['used'].get(provider)
        least, most = past.used[provider].during(begin, end)
        if used is not None and not least <= used <= most:
            yield 'a search is stale', [record], f'{provider}: {used} used, and between {least} and {most} are right'
        if provider in record['offered'] and used is not None and used + amount > capacity:
            yield 'a search offers what is taken', [record], provider
        if provider not in record['offered'] and record['limit'] is None and most + amount <= capacity:
            yield 'a search hides what is free', [record], provider
    for pair in past.world['pairs']:
        if all(provider in record['used'] for provider in pair):
            least, most = past.used['+'.join(pair)].during(begin, end)
            used = sum(record['used'][provider] for provider in pair)
            if not least <= used <= most:
                yield 'a search shows half of a move', [record], f'{pair}: {used}, between {least} and {most} are right'


def check_children(past, record):
    """The children of each provider in the answer: those that are shown may exist, and none is missing."""
    begin, end = record['begin'], record['end']
    for parent, children in record['children'].items():
        least, most = past.offspring[parent].during(begin, end)
        if not least <= len(children) <= most:
            yield 'an answer has stale providers', [record], (
                f'{parent} has the children {children}, and between {least} and {most} are right')
        for child in children:
            register = past.registers.get(child)
            if register is None or register.during(begin, end) == {None}:
                yield 'an answer shows a provider that is gone', [record], f'{child} of {parent}'


def check_claims(past, record):
    """The claims on a provider, each as it was between the begin and the end."""
    begin, end, provider = record['begin'], record['end'], record['provider']
    least, most = past.used[provider].during(begin, end)
    used = sum(record['claims'].values())
    if not least <= used <= most:
        yield 'a list of claims is stale', [record], f'{used} of {provider}, and between {least} and {most} are right'
    for consumer, amount in record['claims'].items():
        register = past.registers.get(consumer)
        states = register.during(begin, end) if register else set()
        if amount not in [registers.amounts(state).get(provider) for state in states]:
            yield 'a list of claims is stale', [record], f'{consumer} has {amount} of {provider}, and may be {states}'


def check_generations(past, record):
    for provider, generation in record.get('generations', {}).items():
        if provider in past.generations:
            least = past.generations[provider].least(record)
            most = past.generations[provider].most(record['end'])
            if generation < least:
                yield 'a generation goes back', [record], f'{provider} has {generation} after {least}'
            if generation > most:
                yield 'a write is done twice', [record], f'{provider} has {generation}, and {most} at most'


def expected(world, store):
    """The picture that a replica shows if the database has these rows."""
    used = dict.fromkeys(world['capacity'], 0)
    for _, provider, amount in store['allocations']:
        used[provider] = used.get(provider, 0) + amount
    return {'used': used, 'providers': store['providers'], 'parents': store['parents']}
