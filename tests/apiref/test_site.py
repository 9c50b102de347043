"""The site covers the service, no more and no less, and can be read without a network."""

import json
import pathlib
import re
import sys

import built
import drivers
import httpx
import pytest

sys.path.insert(0, str(built.ROOT / 'api-ref'))
import document  # noqa: E402
import generate  # noqa: E402

# Refusals that are the same for all are shown on the page of errors, which test_errors reads.
GROUPS = 'groups'


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp('site')
    problems = built.build(directory)
    assert not problems, problems
    return directory


@pytest.fixture(scope='session')
def made():
    """The files that the service would write now."""
    with generate.service() as (url, door):
        return {'files': generate.everything(url, door), 'documents': generate.documents(url),
                'whole': httpx.get(f'{url}/openapi.json', trust_env=False).json()}


@pytest.fixture(scope='session')
def whole(made):
    return made['whole']


@pytest.fixture(scope='session')
def said(site):
    return built.operations(site)


def described(whole):
    """Every operation of the OpenAPI document, by method and path."""
    return {f'{method.upper()} {path}': operation for path, methods in whole['paths'].items()
            for method, operation in methods.items()}


def names(schema, whole):
    """The names of all fields in a schema, whatever is above them."""
    schema = document.resolved(schema, whole) if isinstance(schema, dict) else schema
    if isinstance(schema, list):
        return {name for part in schema for name in names(part, whole)}
    if not isinstance(schema, dict):
        return set()
    fields = schema.get('properties', {})
    return set(fields) | {name for part in [*fields.values(), *(
        value for key, value in schema.items() if key != 'properties')]
        for name in names(part, whole)}


def is_versioned(key):
    """The dialects of CNAPI know no versions."""
    return not key.partition(' ')[2].startswith(('/servers/', '/tickets/'))


def last(field):
    """The name of a field, without what is above it."""
    return field.rpartition('.')[2].removesuffix('[]')


def test_what_is_made_of_the_service_is_up_to_date(made):
    assert generate.differences(made['files']) == [], 'run make api-ref-update'


def test_a_change_of_the_service_is_noticed(made):
    files = {**made['files'], 'parameters.yaml': made['files']['parameters.yaml'] + ' '}
    del files['operations/root-get.inc']
    assert generate.differences(files) == [
        'operations/root-get.inc: not made any more', 'parameters.yaml: differs']


def test_every_operation_is_told_and_nothing_else(said, whole):
    assert set(said) == set(described(whole))
    for key, operation in described(whole).items():
        assert said[key].since == operation['x-openstack']['min-ver'], key


def test_every_parameter_is_told_and_nothing_else(said, whole):
    for key, operation in described(whole).items():
        expected = set()
        for parameter in operation['parameters']:
            parameter = document.resolved(parameter, whole)
            if parameter['name'] == GROUPS:
                patterns = json.dumps(parameter['schema'])
                expected |= {('query', name + 'SUFFIX') for name in re.findall(r'"\^([a-z_]+)\[', patterns)}
            else:
                expected.add((parameter['in'], parameter['name']))
        # This one is explained on the page on versions.
        assert (('header', document.VERSION_HEADER) in expected) == is_versioned(key), key
        expected.discard(('header', document.VERSION_HEADER))
        assert said[key].parameters == expected, key
        body = operation.get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema', {})
        told = {last(field) for field in said[key].request_fields} - {document.WHOLE_BODY}
        assert told == names(body, whole), key


def statuses(operation, whole):
    """Each status of an operation with its error codes."""
    return {int(status): set(re.findall(r'"(placement\.[a-z_.]+)"', json.dumps(
        document.resolved(answer, whole).get('content', {}))))
            for status, answer in operation['responses'].items()}


def test_every_status_and_code_is_told_and_nothing_else(said, made):
    expected = {}
    for version in made['documents'].values():
        for key, operation in described(version).items():
            told = expected.setdefault(key, {})
            for status, codes in statuses(operation, version).items():
                told.setdefault(status, set()).update(codes)
    for key, operation in described(made['whole']).items():
        # Only the document of all versions has what is answered before there is an operation.
        assert said[key].statuses == {**statuses(operation, made['whole']), **expected[key]}, key


def test_every_answer_is_told_and_nothing_else(said, whole):
    for key, operation in described(whole).items():
        successes = {status: answer for status, answer in operation['responses'].items() if status < '400'}
        expected = {}
        for status, answer in successes.items():
            headers = {('header', name) for name in answer['headers']
                       if name not in generate.COMMON_HEADERS | generate.CNAPI_HEADERS}
            content = answer.get('content', {}).get('application/json', {}).get('schema', {})
            told = headers | {('body', name) for name in names(content, whole)}
            if told:
                expected['' if len(successes) == 1 else status] = told
        found = {status: {(where, last(name)) for name, where in places if name != document.WHOLE_BODY}
                 for status, places in said[key].answers.items()}
        assert found == expected, key


def test_headers_of_every_answer_are_told(site, whole):
    told = {True: generate.COMMON_HEADERS, False: generate.CNAPI_HEADERS}
    for key, operation in described(whole).items():
        for status, answer in operation['responses'].items():
            headers = set(document.resolved(answer, whole)['headers'])
            assert headers >= told[is_versioned(key)], (key, status)
            assert not headers & (told[not is_versioned(key)] - told[is_versioned(key)]), (key, status)
    for name in generate.COMMON_HEADERS:
        assert name in (site / 'html' / 'request-ids.html').read_text() or \
            name in (site / 'html' / 'versions.html').read_text(), name
    for name in generate.CNAPI_HEADERS:
        assert f'``{name}``' in (built.SOURCE / 'cnapi.rst').read_text(), name


# Headers of HTTP itself, which any answer may have: for the body, for caches and for refusals.
OF_HTTP = {'Content-Type', 'Vary', 'Server', 'Allow'}


def undocumented(exchange, documents, whole):
    """The headers in which an exchange and the document of its version differ, where it tells of it."""
    method, _, path = exchange['operation'].partition(' ')
    version = exchange['request']['headers'].get('OpenStack-API-Version', 'placement 1.0').rpartition('.')[2]
    # Only the document of all versions has what is answered before there is an operation.
    for described_in in (documents.get(int(version)) if version.isdigit() else None, whole):
        operation = (described_in or whole)['paths'].get(path, {}).get(method.lower(), {})
        answer = operation.get('responses', {}).get(str(exchange['response']['status']))
        if answer:
            break
    else:
        # A request for what there is not belongs to no operation.
        assert exchange['name'] in ('refused-404', 'refused-405', 'door-other'), exchange['name']
        return set()
    headers = document.resolved(answer, whole)['headers']
    required = {name for name, header in headers.items() if header['required']}
    answered = set(exchange['response']['headers']) - OF_HTTP
    return (answered - set(headers)) | (required - answered)


def test_headers_that_are_answered_are_documented_and_nothing_else(made):
    walked = json.loads(made['files']['samples/exchanges.json'])
    documents = made['documents']
    assert {exchange['name']: found for exchange in walked
            if (found := undocumented(exchange, documents, made['whole']))} == {}
    named = {exchange['name']: exchange for exchange in walked}
    for name, header in (('cnapi-take', 'X-Response-Time'), ('provider-create', 'OpenStack-API-Version'),
                         ('claim-stale', 'X-Openstack-Request-Id'), ('cnapi-show-missing', 'X-Request-Id')):
        less = {key: value for key, value in named[name]['response']['headers'].items() if key != header}
        for headers, expected in ((less, {header}), ({**less, header: '', 'X-Colour': 'blue'}, {'X-Colour'})):
            changed = {**named[name], 'response': {**named[name]['response'], 'headers': headers}}
            assert undocumented(changed, documents, made['whole']) == expected, name


def test_every_field_of_an_error_is_told_and_nothing_else(made, whole):
    for shape in ('error_1_23', 'unauthorized_1_0', 'version_error_1_0', 'cnapi_error_1_0'):
        table = made['files'][f'operations/{shape.partition("_1_")[0]}.inc']
        told = {last(field) for field in re.findall(r'^   - "(.+)":', table, re.MULTILINE)}
        assert told == names({'$ref': f'#/components/schemas/{shape}'}, whole), shape


def test_every_error_code_is_explained_and_nothing_else(whole):
    rust = (built.ROOT / 'src' / 'wire' / 'code.rs').read_text().partition('#[cfg(test)]')[0]
    known = set(re.findall(r'=> "(placement\.[a-z_.]+)"', rust))
    assert len(known) >= 10
    page = (built.SOURCE / 'errors.rst').read_text()
    explained = re.findall(r'^\.\. _(placement\.[a-z_.]+):$', page, re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(explained) == known
    assert known == set(re.findall(r'"(placement\.[a-z_.]+)"', json.dumps(whole)))


def test_every_code_of_cnapi_is_explained_and_nothing_else():
    rust = ''.join(path.read_text() for path in (built.ROOT / 'src' / 'api' / 'cnapi').glob('*.rs'))
    known = {word for words in re.findall(
        r'=> "(\w+)"|_or\("(\w+)"\)|with_word\("(\w+)"\)|"code": "(\w+)"', rust) for word in words if word}
    assert len(known) >= 15
    page = (built.SOURCE / 'cnapi.rst').read_text()
    table = page.partition('Codes\n~~~~~')[2].partition('\nWaiting\n')[0]
    assert set(re.findall(r'``([A-Z]\w+)``', table)) == known


def test_every_error_code_and_success_has_a_sample(made, whole):
    walked = json.loads(made['files']['samples/exchanges.json'])
    codes = {part['code'] for exchange in walked if exchange['response']['status'] >= 400
             for part in json.loads(made['files'].get(f'samples/{exchange["name"]}-response.json', '{}'))
             .get('errors', []) if part.get('code', '').startswith('placement.')}
    assert codes == set(re.findall(r'"(placement\.[a-z_.]+)"', json.dumps(whole)))
    shown = {(exchange['operation'], str(exchange['response']['status'])) for exchange in walked}
    for key, operation in described(whole).items():
        missing = {status for status in operation['responses'] if status < '400'
                   and (key, status) not in shown}
        assert not missing, key


def test_every_status_of_the_service_is_explained(whole):
    page = (built.SOURCE / 'errors.rst').read_text()
    headings = re.findall(r'^([45]\d\d(?:, [45]\d\d)*)\n~+$', page, re.MULTILINE)
    explained = {status for heading in headings for status in heading.split(', ')}
    common = {name.removeprefix('error_') for name in whole['components']['responses']}
    assert explained == common | {'400', '404', '500'}


def test_the_history_has_every_change(made):
    history = generate.history()
    assert set(history) == set(range(1, max(made['documents']) + 1))
    operations = {operation.key: operation for operation in document.operations(made['documents'])}
    for operation in operations.values():
        for minor, what in operation.changes().items():
            assert operation.key in history[minor].get('operations', {}), (operation.key, minor, what)
    for minor, entry in history.items():
        for key in set(entry.get('operations', {})) - {'*'}:
            assert operations[key].since < minor, (key, minor)


def test_the_site_speaks_of_the_newest_version(whole):
    newest = whole['info']['version']
    assert newest == f'1.{generate.LAST}'
    assert f"os_api_ref_max_microversion = '{newest}'" in (built.SOURCE / 'conf.py').read_text()
    assert f'from 1.0 to {newest}.' in (built.SOURCE / 'versions.rst').read_text()


def test_links_lead_somewhere_and_nothing_comes_from_elsewhere(site):
    dead, leaving = built.dead_links(site)
    assert dead == []
    assert leaving == []


def test_a_dead_link_is_noticed(tmp_path):
    page = tmp_path / 'html' / 'page.html'
    page.parent.mkdir()
    page.write_text('<a href="none.html">x</a><a href="#none">x</a><b id="there"></b><a href="#there">x</a>'
                    '<a href="page.html#there">x</a><script src="https://example.com/x.js"></script>')
    assert built.dead_links(tmp_path) == (
        ['page.html: #none', 'page.html: none.html'], ['page.html: https://example.com/x.js'])


def test_the_search_index_has_every_page(site):
    index = json.loads(re.search(r'Search\.setIndex\((.*)\)', (site / 'html' / 'searchindex.js').read_text(),
                                 re.DOTALL)[1])
    pages = {str(path.relative_to(built.SOURCE).with_suffix('')) for path in built.SOURCE.glob('*.rst')}
    assert set(index['docnames']) == pages
    found = [index[where]['reshap'] for where in ('terms', 'titleterms')]
    assert {index['docnames'][number] for entry in found
            for number in (entry if isinstance(entry, list) else [entry])} >= {'reshaper', 'generations'}


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_the_service_leads_to_the_site(serve, database, tmp_path):
    server = serve(drivers.AllotmentServer)
    page = httpx.get(f'{server.url}/docs', trust_env=False).text
    assert 'make api-ref' in page and 'href="openapi.json"' in page
    makefile = (pathlib.Path(built.ROOT) / 'Makefile').read_text()
    assert re.search(r'^api-ref:', makefile, re.MULTILINE)
