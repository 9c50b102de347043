"""Changes of schemathesis for this service; schemathesis loads them (SCHEMATHESIS_HOOKS).

The fuzzer alone would seldom name anything that there is, so it is given the
things that fleet.py makes, and now and then the generation that they have.
"""

import collections
import json
import os
import pathlib
import random
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

import fleet

VERSION = os.environ['OPENAPI_VERSION']
URL = os.environ['OPENAPI_URL']
SEEN = pathlib.Path(os.environ['OPENAPI_SEEN'])

world = fleet.Fleet(URL, VERSION)
seen = collections.Counter()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The version is no parameter to play with: it says what is expected."""
    reference = {'$ref': '#/components/parameters/version'}
    for operations in raw_schema['paths'].values():
        for operation in operations.values():
            # The dialects of CNAPI know no versions.
            if reference in operation['parameters']:
                operation['parameters'].remove(reference)


def names(context):
    return [parameter.name for parameter in context.operation.path_parameters]


@schemathesis.hook
def before_generate_path_parameters(context, strategy):
    """Three of four paths name what there is."""
    known = {'uuid': fleet.PROVIDERS, 'consumer_uuid': fleet.CONSUMERS,
             'resource_class': fleet.CLASSES, 'ticket': fleet.TICKETS, 'group': fleet.GROUPS,
             'server': fleet.PROVIDERS}
    path = context.operation.path
    known['name'] = fleet.TRAITS if path.startswith('/traits') else fleet.OWN_CLASSES
    wanted = names(context)
    if not wanted:
        return strategy
    existing = st.fixed_dictionaries({name: st.sampled_from(known[name]) for name in wanted})
    return st.one_of(existing, existing, existing, strategy)


@st.composite
def sensible(draw, strategy):
    """Three of four parameters have a value that means something."""
    def mend(name, value):
        known = next((values for start, values in fleet.QUERY.items()
                      if name.startswith(start)), None)
        return draw(st.sampled_from(known)) if known and draw(st.integers(0, 3)) else value

    query = draw(strategy)
    if not isinstance(query, dict):
        return query
    return {name: {key: mend(key, member) for key, member in value.items()}
            if isinstance(value, dict) else mend(name, value)
            for name, value in query.items()}


@schemathesis.hook
def before_generate_query(context, strategy):
    return sensible(strategy)


def is_good(case):
    return bool(case.meta) and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context, case, kwargs):
    """See to it that what is named is there, and mostly at the generation stated."""
    named = case.path_parameters or {}
    uuid = named.get('uuid') or named.get('server')
    if uuid in fleet.PROVIDERS:
        world.restore(uuid)
    else:
        uuid = None
    dice = random.Random(repr((case.method, case.path, case.path_parameters, case.body)))
    if is_good(case) and isinstance(case.body, dict) and dice.random() < 0.8:
        case.body = world.known(case.body, uuid, case.operation.path == '/allocations')
    if is_good(case) and dice.random() < 0.8:
        # A write that tickets fence which there are not is never done.
        (case.headers or {}).pop('X-Waitlist-Ticket', None)
    take_tickets(case, uuid)


def take_tickets(case, uuid):
    """See to it that there are tickets, and that nobody waits for long."""
    named = case.path_parameters or {}
    path = case.operation.path
    if path.startswith('/tickets/'):
        uuid = fleet.PROVIDERS[0]
        world.restore(uuid)
    taken = False
    if named.get('ticket') in fleet.TICKETS and uuid:
        named['ticket'] = world.ticket(uuid)
        taken = True
    if named.get('group') in fleet.GROUPS:
        named['group'] = world.group()
        taken = True
    if not is_good(case):
        return
    if path.startswith(('/servers/', '/tickets/')):
        if isinstance(case.body, dict):
            # Most texts are no time, and one of two names is required: no schema says so.
            case.body.update({'id': str(uuid4()), 'expires_at': '3000', 'expires': '3000'})
        return
    if taken and isinstance(case.body, dict) and 'generation' in case.body:
        case.body = {'generation': 1, 'lease_seconds': 2, 'extra': case.body.get('extra')}
    elif 'waitlist' in case.operation.path and isinstance(case.body, dict):
        # One of two ends is required, which the schema does not say.
        case.body.pop('expires_at', None)
        case.body['lease_seconds'] = 1
        case.body.pop('queue_generation', None)
    if (case.query or {}).get('wait') == 'true':
        case.query['timeout'] = '1'


@schemathesis.hook
def after_call(context, case, response):
    seen[f'{case.method} {case.operation.path} {response.status_code}'] += 1
    SEEN.write_text(json.dumps(seen))


@schemathesis.check
def schema_of_the_service(ctx, response, case):
    """The service's own schema refuses nothing that fits the documented schema.

    A 400 for what the schema cannot say (an unknown trait) is all right. Values
    from an earlier answer were not made to fit the schema.
    """
    if not is_good(case) or case.meta.phase.name.value == 'stateful' or response.status_code != 400:
        return
    body = response.json()
    # An error of CNAPI has a message.
    detail = body['message'] if 'message' in body else body['errors'][0]['detail']
    assert 'Failed validating' not in detail, f'fits the schema, but: {detail}'


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Leave out what is no fault: Placement has these looser than they look."""
    # The answer of CNAPI to a wait for a ticket that has expired, as the document says.
    if case.operation.label == 'GET /tickets/{ticket}/wait' and 'expired' in response.text:
        return 'not_a_server_error' not in failure.checks
    if 'negative_data_rejection' not in failure.checks:
        return True
    # Any text is a consumer without allocations. A failed precondition is refused with a status of its own.
    is_free = case.operation.label == 'GET /allocations/{consumer_uuid}'
    return not is_free and response.status_code != 412
