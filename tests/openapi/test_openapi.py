"""The service keeps to the OpenAPI document that it serves.

schemathesis makes requests of the document, good and bad ones, and looks at
each answer: no 5xx, no status that is not documented, no body or header that
does not fit. OPENAPI_LONG=1 does it at every version, and for longer. It leaves
out `/openapi.json`, which it starts from; test_answers.py asks for that.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys

import api
import httpx
import openapi_spec_validator
import pytest

import fleet

HERE = pathlib.Path(__file__).resolve().parent
SCHEMATHESIS = pathlib.Path(sys.executable).with_name('schemathesis')
LONG = os.environ.get('OPENAPI_LONG') == '1'
NEWEST = int(api.LATEST.partition('.')[2])
# The last versions before several shapes change.
OLDER = range(NEWEST) if LONG else (0, 11, 18, 27)
SEED = os.environ.get('OPENAPI_SEED', '1')


@pytest.fixture
def service(serve, driver):
    return serve(driver)


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_the_documents_are_valid(service):
    get = httpx.Client(base_url=service.url, trust_env=False).get
    documents = [get('/openapi.json')]
    documents += [get('/openapi.json', params={'microversion': f'1.{minor}'})
                  for minor in (range(NEWEST + 1) if LONG else (0, NEWEST))]
    for document in documents:
        assert document.status_code == 200
        openapi_spec_validator.validate(document.json())
    printed = subprocess.check_output([os.environ['ALLOTMENT_BIN'], 'openapi'])
    assert json.loads(printed) == documents[0].json()
    assert get('/openapi.json', params={'microversion': '1.99'}).status_code == 400


def run(service, minor, *options):
    """Run schemathesis at a version; returns how often it saw which answer."""
    version = f'1.{minor}'
    seen = service.workdir / f'seen-{version}.json'
    done = subprocess.run(
        [SCHEMATHESIS, '--config-file', HERE / 'schemathesis.toml', 'run',
         f'{service.url}/openapi.json?microversion={version}', '--url', service.url,
         '-H', 'X-Auth-Token: admin', '-H', f'OpenStack-API-Version: placement {version}',
         '--seed', SEED, *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=service.workdir,
        env={**os.environ, 'NO_PROXY': '*', 'PYTHONPATH': f'{HERE}:{HERE.parent / "support"}',
             'SCHEMATHESIS_HOOKS': 'hooks', 'OPENAPI_VERSION': version,
             'OPENAPI_URL': service.url, 'OPENAPI_SEEN': str(seen)})
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return collections.Counter(json.loads(seen.read_text()))


def documented(service, minor):
    """Every success that the document promises."""
    document = httpx.get(f'{service.url}/openapi.json',
                         params={'microversion': f'1.{minor}'}, trust_env=False).json()
    return {f'{method.upper()} {path} {status}'
            for path, operations in document['paths'].items()
            for method, operation in operations.items()
            for status in operation['responses'] if status.startswith('2')}


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_the_service_keeps_to_its_document(service):
    fleet.Fleet(service.url, api.LATEST).make()
    seen = run(service, NEWEST, '-n', '100' if LONG else '5')
    for minor in OLDER:
        options = ['-n', '30'] if LONG else ['-n', '3', '--phases', 'fuzzing', '--mode', 'positive']
        run(service, minor, *options)
    # Were the good requests all refused, the answers to them would not be looked at.
    promised = documented(service, NEWEST)
    missed = promised - set(seen)
    assert len(missed) < len(promised) / 5, f'never seen: {sorted(missed)}'
