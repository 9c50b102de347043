"""Faults that are planted in a good trace. Each is named after the fault of a service that leaves such a trace."""

import copy
import itertools

import checker

NEW = '00000000-0000-4000-8000-000000000000'


class Trace:
    """A copy of the recording, in which a fault is planted."""

    def __init__(self, world, records, end):
        self.world, self.records, self.end = copy.deepcopy([world, records, end])

    def find(self, condition):
        found = next((record for record in self.records if condition(record)), None)
        assert found is not None, 'the recording lacks an occasion for this fault; record another one'
        return found

    def rules(self):
        return {finding.rule for finding in checker.check(self.world, self.records, self.end)}

    def at_end(self, change):
        """Changes the rows of all nodes."""
        for store in self.end['stores']:
            change(store)

    def done_puts(self):
        return [record for record in self.records
                if record['kind'] == 'put' and record['type'] == 'consumer' and record['status'] == 204]

    def a_claim_at_end(self):
        """A consumer that is there at the end, and a provider that it has."""
        return self.end['stores'][0]['allocations'][0][:2]

    def released(self):
        """The last claim of a consumer that has released it."""
        gone = {record['thing'] for record in self.records if record['kind'] == 'delete' and record['status'] == 204}
        kept = self.end['stores'][0]['consumers']
        return next(record for record in reversed(self.done_puts())
                    if record['thing'] in gone and record['thing'] not in kept)

    def used_search(self):
        """A search, and a client's own host of which it shows the one usage that is right."""
        past = checker.Past(self.world, self.records)
        for record in self.records:
            for pair in self.world['pairs']:
                for host in pair:
                    if record['kind'] == 'search' and record.get('used', {}).get(host):
                        least, most = past.used[host].during(record['begin'], record['end'])
                        if least == most:
                            return record, host
        raise AssertionError('no such search is recorded')

    def holders(self):
        """Answers by which two tickets of a queue are active one after the other."""
        shown = {}
        for record in self.records:
            if record['kind'] in ('join', 'look') and record.get('state') == 'active':
                shown.setdefault((record['queue'], record['fence']), record)
        for (queue, fence), (other, higher) in itertools.pairwise(sorted(shown)):
            if queue == other:
                return shown[queue, fence], shown[queue, higher]
        raise AssertionError('no two holders of one queue are recorded')

    def add(self, like, **changes):
        self.records.append({**copy.deepcopy(like), **changes})
        return self.records[-1]

    def moment(self):
        """A time after all that is recorded."""
        return max(record['end'] for record in self.records if record['end']) + 1


PLANTED = []


def planted(fault):
    """Adds a function that plants a fault in a trace, and returns the rule by which the fault is to be found."""
    PLANTED.append(fault)
    return fault


def allocation_rows(consumer, rows):
    return [row for row in rows if row[0] != consumer]


@planted
def lost_claim(trace):
    consumer, _ = trace.a_claim_at_end()

    def change(store):
        del store['consumers'][consumer]
        store['consumer_rows'] = allocation_rows(consumer, store['consumer_rows'])
        store['allocations'] = allocation_rows(consumer, store['allocations'])
    trace.at_end(change)
    return 'an answered write is missing at the end'


@planted
def released_claim(trace):
    put = trace.released()

    def change(store):
        store['consumers'][put['thing']] = (put['generation'] or 0) + 1
        store['allocations'] += [[put['thing'], provider, used] for provider, used in put['holds'].items()]
    trace.at_end(change)
    return 'a thing that must be gone is there at the end'


@planted
def refused_claim_done(trace):
    """The second run of a claim found the consumer of the first one, and told the client of a conflict."""
    put = next(record for record in reversed(trace.done_puts()) if record['generation'] is None)
    put.update(status=409, code='placement.concurrent_update')
    return 'a refusal without a reason'


@planted
def refused_release_done(trace):
    """The second run of a release found nothing, and told the client so."""
    delete = trace.find(lambda record: record['kind'] == 'delete' and record['status'] == 204)
    delete['status'] = 404
    return 'a refusal without a reason'


@planted
def claim_done_twice(trace):
    consumer, _ = trace.a_claim_at_end()
    trace.at_end(lambda store: store['consumers'].update({consumer: store['consumers'][consumer] + 1}))
    return 'a thing differs at the end'


@planted
def double_claim(trace):
    trace.at_end(lambda store: store['allocations'].append(store['allocations'][0]))
    return 'an allocation that is there twice'


@planted
def duplicate_consumer(trace):
    trace.at_end(lambda store: store['consumer_rows'].append(store['consumer_rows'][0]))
    return 'a consumer that is there twice'


@planted
def orphan_allocation(trace):
    trace.at_end(lambda store: store['allocations'].append([NEW, trace.a_claim_at_end()[1], 1]))
    return 'an allocation without a consumer'


@planted
def empty_consumer(trace):
    consumer, _ = trace.a_claim_at_end()
    trace.at_end(lambda store: store.update(allocations=allocation_rows(consumer, store['allocations'])))
    return 'a consumer without an allocation'


@planted
def claim_out_of_nowhere(trace):
    def change(store):
        store['consumers'][NEW] = 1
        store['allocations'].append([NEW, trace.a_claim_at_end()[1], 1])
    trace.at_end(change)
    return 'a consumer that nobody has made'


@planted
def oversold_by_one(trace):
    past = checker.Past(trace.world, trace.records)
    host = trace.world['shared'][0]
    taken, time = past.used[host].surely()
    trace.add(trace.done_puts()[0], thing=NEW, generation=None, begin=time, end=time, ticket=None,
              holds={host: trace.world['capacity'][host] - taken + 1})
    return 'oversold'


@planted
def oversold_at_end(trace):
    host = trace.world['shared'][0]
    trace.at_end(lambda store: store['allocations'].append([NEW, host, trace.world['capacity'][host] + 1]))
    return 'oversold at the end'


@planted
def search_before_a_claim(trace):
    record, host = trace.used_search()
    record['used'][host] -= 1
    return 'a search is stale'


@planted
def search_before_a_release(trace):
    record, host = trace.used_search()
    record['used'][host] += 1
    return 'a search is stale'


@planted
def search_with_half_of_a_move(trace):
    """The picture has taken over one of the two hosts that a transaction touched."""
    first, second = trace.world['pairs'][0]
    time, put = trace.moment(), trace.done_puts()[0]
    search = trace.find(lambda record: record['kind'] == 'search' and first in record.get('used', {})
                        and record['limit'] is None)
    trace.add(put, thing=NEW, generation=None, holds={first: 5}, ticket=None, begin=time, end=time + 1)
    trace.add(put, thing=NEW, generation=1, holds={second: 5}, ticket=None, begin=time + 2, end=time + 5)
    past = checker.Past(trace.world, trace.records)
    before = {host: past.used[host].during(time - 0.5, time - 0.5)[0] for host in (first, second)}
    found = trace.add(search, begin=time + 3, end=time + 4)
    found['used'].update(before)
    return 'a search shows half of a move'


@planted
def search_without_a_host(trace):
    record, host = trace.used_search()
    record['limit'] = None
    record['offered'].remove(host)
    return 'a search hides what is free'


@planted
def search_offers_a_full_host(trace):
    record = trace.find(lambda record: record['kind'] == 'search' and record.get('offered'))
    host = record['offered'][0]
    record['used'][host] = trace.world['capacity'][host]
    return 'a search offers what is taken'


@planted
def list_without_a_new_provider(trace):
    past = checker.Past(trace.world, trace.records)

    def is_sure(record):
        return any(children and past.offspring[parent].during(record['begin'], record['end'])[0] == len(children)
                   for parent, children in record.get('children', {}).items())
    trace.find(is_sure)['children'].update(dict.fromkeys(trace.world['capacity'], []))
    return 'an answer has stale providers'


@planted
def list_with_a_deleted_provider(trace):
    record = trace.find(lambda record: record['status'] == 200 and record.get('children'))
    next(iter(record['children'].values())).append(NEW)
    return 'an answer shows a provider that is gone'


@planted
def generation_goes_back(trace):
    host = trace.done_puts()[0]['holds'].keys() & trace.world['generations'].keys()
    record = [record for record in trace.records if host & record.get('generations', {}).keys()][-1]
    record['generations'].update(dict.fromkeys(host, trace.world['generations'][min(host)]))
    return 'a generation goes back'


@planted
def older_picture_of_a_replica(trace):
    """The picture was replaced by an older one."""
    time, search = trace.moment(), trace.find(lambda record: record['kind'] == 'list' and record.get('generations'))
    host = trace.world['shared'][0]
    newest = trace.end['stores'][0]['providers'][host]
    trace.add(search, begin=time, end=time + 1, generations={host: newest + 1})
    trace.add(search, begin=time + 2, end=time + 3, generations={host: newest})
    return 'a generation goes back'


@planted
def generation_goes_back_at_end(trace):
    trace.at_end(lambda store: store['providers'].update(trace.world['generations']))
    return 'a generation goes back'


@planted
def provider_written_twice(trace):
    host = trace.world['pairs'][0][0]
    trace.at_end(lambda store: store['providers'].update({host: store['providers'][host] + 10**6}))
    return 'a write is done twice'


@planted
def read_before_a_write(trace):
    record = trace.find(lambda record: record['kind'] == 'read' and record['seen'])
    record['seen']['generation'] += 1
    return 'a read shows what can not be'


@planted
def claims_before_a_claim(trace):
    record = trace.find(lambda record: record['kind'] == 'claims' and record.get('claims'))
    record['claims'][next(iter(record['claims']))] += 100
    return 'a list of claims is stale'


@planted
def two_holders(trace):
    first, second = trace.holders()
    trace.add(first, kind='look', begin=second['end'] + 0.001, end=second['end'] + 0.002)
    return 'two holders'


@planted
def two_holders_at_end(trace):
    queue = trace.find(lambda record: record['kind'] == 'join' and record['status'] == 201)['queue']
    for uuid in (NEW, NEW[:-1] + '1'):
        trace.at_end(lambda store: store['tickets'].update({uuid: {
            'queue': queue, 'position': 10**6, 'status': 'active', 'fence': None}}))
    return 'two holders'


@planted
def fence_repeated(trace):
    first, second = trace.holders()
    for record in trace.records:
        if record.get('ticket') == second['ticket'] and record.get('fence'):
            record['fence'] = first['fence']
    return 'a fence is repeated'


@planted
def fence_back(trace):
    first, second = trace.holders()
    swapped = {first['ticket']: second['fence'], second['ticket']: first['fence']}
    for record in trace.records:
        if record.get('ticket') in swapped and record.get('fence'):
            record['fence'] = swapped[record['ticket']]
    return 'a fence goes back'


@planted
def released_ticket_lives(trace):
    leave = trace.find(lambda record: record['kind'] == 'leave' and record['status'] == 204)
    trace.at_end(lambda store: store['tickets'][leave['ticket']].update(status='active'))
    return 'a released ticket lives'


@planted
def lost_ticket(trace):
    join = trace.find(lambda record: record['kind'] == 'join' and record['status'] == 201)
    trace.at_end(lambda store: store['tickets'].pop(join['ticket']))
    return 'an answered ticket is lost'


@planted
def write_of_an_ended_ticket(trace):
    leave = trace.find(lambda record: record['kind'] == 'leave' and record['status'] == 204)
    trace.add(trace.done_puts()[0], thing=NEW, generation=None, ticket=leave['ticket'],
              begin=leave['end'] + 0.001, end=leave['end'] + 0.002)
    return 'an ended ticket acts'


@planted
def write_of_a_holder_refused(trace):
    first, _ = trace.holders()
    trace.add(trace.done_puts()[0], thing=NEW, generation=None, ticket=first['ticket'], status=409,
              code='placement.waitlist.not_active', begin=first['end'] + 0.001, end=first['end'] + 0.002)
    trace.add(first, kind='look', begin=first['end'] + 0.003, end=first['end'] + 0.004)
    return 'a holder is refused'


@planted
def overtaken_ticket(trace):
    first, second = trace.holders()
    trace.add(first, kind='look', state='queued', fence=None, begin=second['end'] + 0.001, end=second['end'] + 0.002)
    return 'a ticket is overtaken'


@planted
def lease_ended_early(trace):
    join = trace.find(lambda record: record['kind'] == 'join' and record['status'] == 201)
    trace.add(join, kind='look', state='expired', begin=join['end'] + 0.001, end=join['end'] + 0.002)
    return 'a lease ends early'


@planted
def nodes_differ(trace):
    other = copy.deepcopy(trace.end['stores'][0])
    other['allocations'].pop()
    trace.end['stores'].append(other)
    return 'nodes differ'


@planted
def picture_differs(trace):
    trace.end['pictures'][-1]['used'][trace.world['shared'][0]] += 1
    return 'a picture differs'


@planted
def picture_lacks_a_provider(trace):
    trace.end['pictures'][0]['providers'].popitem()
    return 'a picture differs'


@planted
def provider_lost(trace):
    trace.at_end(lambda store: store['providers'].pop(trace.world['shared'][0]))
    return 'a provider is missing at the end'


@planted
def internal_error(trace):
    trace.find(lambda record: record['kind'] == 'search')['status'] = 500
    return 'an unexpected answer'


@planted
def refusal_that_names_no_time(trace):
    trace.find(lambda record: record['kind'] == 'search').update(status=503, retry_after=False)
    return 'a 503 without Retry-After'


@planted
def stuck_queue(trace):
    trace.end['complaints'].append('a queue is stuck')
    return 'the end is not reached'
