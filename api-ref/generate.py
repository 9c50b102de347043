#!/usr/bin/env python
"""Write what the site says of the service from the service itself.

generate.py starts the program that ALLOTMENT_BIN names on an empty SQLite
database, reads its OpenAPI documents, walks the scenario, and writes tables,
parameters and samples into source/. With --check it only tells what differs.
"""

import argparse
import contextlib
import json
import pathlib
import re
import sys
import tempfile
import urllib.request

import yaml

import document
import exchanges
import scenario

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / 'source'
SECTIONS = ['header', 'path', 'query', 'body']
# Every answer has these; the page on versions and that on request ids explain them.
COMMON_HEADERS = {'OpenStack-API-Version', 'X-Openstack-Request-Id'}
# In the dialects of CNAPI, whose page explains them.
CNAPI_HEADERS = {'X-Openstack-Request-Id', 'X-Request-Id', 'X-Response-Time', 'X-Server-Name'}
# Samples that the pages before those of resources show, and those that are shown nowhere else.
FRONT_MATTER = {'provider-traits-stale', 'fenced', 'fenced-late', 'cnapi-list-unknown', 'cnapi-seen'}
ELSEWHERE = ('refused-', 'door-')
LAST = int(scenario.NEWEST.partition('.')[2])


def history():
    """The hand-written history: by minor version, its title, text and operations."""
    read = yaml.safe_load((HERE / 'history.yaml').read_text())
    return {int(version.partition('.')[2]): entry for version, entry in read.items()}


@contextlib.contextmanager
def service():
    """The addresses of a service on a database of its own: with tokens, and without."""
    sys.path.insert(0, str(HERE.parent / 'tests' / 'support'))
    import databases
    import drivers
    with tempfile.TemporaryDirectory() as directory:
        database = databases.Sqlite('site', directory)
        server = drivers.AllotmentServer(directory, next(drivers.PORTS), database)
        server.configure('oslo_policy', enforce_new_defaults=False)
        door = server.open_door()
        server.ensure_started()
        try:
            yield server.url, door
        finally:
            server.stop()


def fetched(url):
    """What is at an address, which no proxy may come between."""
    return json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url))


def documents(url):
    """The OpenAPI document of every version, by minor version."""
    return {minor: fetched(f'{url}/openapi.json?microversion=1.{minor}')
            for minor in range(LAST + 1)}


def rst(text):
    """Words of the OpenAPI document, which are Markdown, as reStructuredText."""
    parts = re.split(r'(`[^`]*`)', text)
    return ''.join(f'`{part}`' if part.startswith('`') else re.sub(r'(\w)_(?!\w)', r'\1\\_', part)
                   for part in parts)


class Parameters:
    """parameters.yaml: every parameter and field, once."""

    def __init__(self):
        self.known = {}

    def key(self, place, minors):
        """The key of a place in an operation that has these minor versions."""
        kind, required, text, _ = place.newest
        entry = {'description': self._description(place, text or ''), 'in': place.where,
                 'required': all(at[1] for at in place.at.values()), 'type': kind}
        if min(place.at) > min(minors):
            entry['min_version'] = f'1.{min(place.at)}'
        if max(place.at) < max(minors):
            entry['max_version'] = f'1.{max(place.at)}'
        stem = re.sub(r'[^A-Za-z0-9_]+', '-', place.name).strip('-')
        for number in range(1, 1000):
            key = stem if number == 1 else f'{stem}-{number}'
            if self.known.setdefault((place.where, key), entry) == entry:
                # A key names one thing in the whole file.
                return f'{place.where}-{key}'

    @staticmethod
    def _description(place, text):
        lines = [rst(text)]
        newest_kind, newest_required = place.newest[:2]
        older = {}
        for minor in sorted(place.at):
            kind, required = place.at[minor][:2]
            if kind != newest_kind:
                older['kind'] = f'Until 1.{minor}: {kind}.'
            if required != newest_required:
                older['required'] = f'{"Required" if required else "Optional"} until 1.{minor}.'
        return '\n\n'.join(lines + list(older.values()))

    def text(self):
        ordered = sorted(self.known.items(), key=lambda item: (
            SECTIONS.index(item[0][0]), item[0][1].lower(), item[0][1]))
        return dump({f'{where}-{key}': entry for (where, key), entry in ordered})


def dump(value):
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def heading(title, character):
    return [title, character * len(title), '']


class Page:
    """The lines that an operation's page includes, and what they refer to."""

    def __init__(self, operation, parameters, statuses, changes, samples):
        self.operation = operation
        self.parameters = parameters
        self.statuses = statuses
        self.changes = changes
        self.samples = samples
        self.lines = []

    def render(self):
        self._versions()
        self._statuses('success', lambda status: status < 400)
        self._statuses('error', lambda status: status >= 400)
        self._table('Request', [*self.operation.parameters.values(), *self.operation.fields.values()])
        successes = [answer for answer in self.operation.answers.values() if answer.status < 400]
        for answer in successes:
            title = 'Response' if len(successes) == 1 else f'Response {answer.status}'
            headers = [place for place in answer.headers.values()
                       if place.name not in COMMON_HEADERS | CNAPI_HEADERS]
            self._table(title, [*headers, *answer.fields.values()])
        self._samples()
        return '\n'.join(self.lines).rstrip('\n') + '\n'

    def _versions(self):
        if not self.operation.is_versioned:
            return
        self.lines += heading('Versions', '~')
        self.lines += ['.. list-table::', '   :widths: 15 85', '   :class: microversions', '']
        rows = [(self.operation.since, 'It is there from this version on.')]
        rows += [(minor, entry['operations'][self.operation.key])
                 for minor, entry in sorted(self.changes.items())
                 if self.operation.key in entry.get('operations', {})]
        for minor, text in rows:
            self.lines += [f'   * - :ref:`1.{minor} <version-1.{minor}>`', f'     - {text.strip()}']
        self.lines.append('')

    def _statuses(self, kind, wanted):
        rows = []
        for answer in sorted(self.operation.answers.values(), key=lambda answer: answer.status):
            if not wanted(answer.status):
                continue
            texts = list(dict.fromkeys(answer.text.values()))
            text = rst(texts[-1])
            first, last = min(answer.text), max(answer.text)
            if first > self.operation.since:
                text += f' From 1.{first} on.'
            if last < max(self.operation.minors):
                text += f' Until 1.{last}.'
            if answer.codes:
                named = ', '.join(f':ref:`{code} <{code}>`' for code in answer.codes)
                text += f'\n\n{named}'
            rows.append(f'   - {answer.status}: {self.statuses.key(answer.status, text, self.operation.slug)}')
        if rows:
            self.lines += [f'.. rest_status_code:: {kind} http-status.yaml', '', *rows, '']

    def _table(self, title, places):
        if not places:
            return
        self.lines += heading(title, '~') + ['.. rest_parameters:: parameters.yaml', '']
        places = sorted(places, key=lambda place: SECTIONS.index(place.where))
        self.lines += [f'   - "{place.name}": {self.parameters.key(place, self.operation.minors)}'
                       for place in places]
        self.lines.append('')

    def _samples(self):
        if self.samples:
            self.lines += heading('Samples', '~')
        for exchange in self.samples:
            self.lines += sample(exchange)


class Statuses:
    """http-status.yaml: what a status means, by operation where that differs."""

    def __init__(self):
        self.known = {}

    def key(self, status, text, slug):
        texts = self.known.setdefault(status, {})
        for name, known in texts.items():
            if known == text:
                return name
        name = slug if texts else 'default'
        texts[name] = text
        return name

    def text(self):
        return dump({status: self.known[status] for status in sorted(self.known)})


def sample(exchange):
    """An exchange: what is sent, and what comes back."""
    request, response = exchange['request'], exchange['response']
    lines = [f'**{exchange["title"]}**', '', '.. code-block:: http', '',
             f'   {request["method"]} {request["target"]} HTTP/1.1']
    lines += [f'   {name}: {value}' for name, value in request['headers'].items()] + ['']
    lines += included(exchange, 'request')
    lines += ['.. code-block:: http', '   :class: answer', '',
              f'   HTTP/1.1 {response["status"]} {exchanges.reason(response["status"])}']
    lines += [f'   {name}: {value}' for name, value in response['headers'].items()] + ['']
    return lines + included(exchange, 'response')


def included(exchange, side):
    if exchange[side]['body'] is None:
        return []
    answer = ['   :class: answer'] if side == 'response' else []
    return [f'.. literalinclude:: /samples/{exchange["name"]}-{side}.json',
            '   :language: json', *answer, '']


def version_table(changes, operations):
    """What each version brought, for the page on versions."""
    titles = {operation.key: operation for operation in operations}
    lines = []
    for minor in range(LAST, 0, -1):
        entry = changes[minor]
        lines += [f'.. _version-1.{minor}:', '']
        lines += heading(f'1.{minor}: {entry["title"]}', '~') + [entry['text'].strip(), '']
        new = [operation for operation in operations if operation.since == minor]
        rows = [(operation, 'New.') for operation in new]
        rows += [(titles[key], text) for key, text in entry.get('operations', {}).items() if key != '*']
        texts = {text for _, text in rows}
        if len(texts) == 1 and len(rows) > 3:
            # The same of many operations: once is enough.
            lines += [f'{texts.pop().strip()} This goes for:', '']
            lines += [f'- :ref:`{operation.key} <{operation.slug}>`' for operation, _ in rows] + ['']
            continue
        lines += [f'- :ref:`{operation.key} <{operation.slug}>`: {text.strip()}'
                  for operation, text in rows] + ['']
    return '\n'.join(lines)


def error_tables(newest, parameters):
    """The bodies of errors, for the page on errors."""
    parts = {}
    for name in ('error_1_23', 'unauthorized_1_0', 'version_error_1_0', 'cnapi_error_1_0'):
        schema = newest['components']['schemas'][name]
        lines = ['.. rest_parameters:: parameters.yaml', '']
        for field, described, required in document.fields(schema, newest):
            place = document.Place(field, 'body')
            place.add(LAST, described, required, described.get('description'))
            lines.append(f'   - "{field}": {parameters.key(place, [LAST])}')
        parts[f'{name.partition("_1_")[0]}.inc'] = '\n'.join(lines) + '\n'
    return parts


def header_table(newest, parameters):
    """The header that any request may have."""
    header = newest['components']['parameters']['version']
    place = document.Place(header['name'], header['in'])
    place.add(LAST, header['schema'], False, header['description'])
    return ('.. rest_parameters:: parameters.yaml\n\n'
            f'   - "{place.name}": {parameters.key(place, [LAST])}\n')


def everything(url, door):
    """All that is made, by its path below source/; `door` is the address without tokens."""
    described = documents(url)
    operations = document.operations(described)
    whole = fetched(f'{url}/openapi.json')
    for operation in operations:
        operation.add_refusals(whole['paths'][operation.path][operation.method.lower()], whole)
    walked = exchanges.record(url, door)
    changes, parameters, statuses = history(), Parameters(), Statuses()
    made = {}
    for operation in operations:
        samples = [exchange for exchange in walked if exchange['operation'] == operation.key
                   and not exchange['name'].startswith(ELSEWHERE)]
        page = Page(operation, parameters, statuses, changes, samples)
        made[f'operations/{operation.slug}.inc'] = page.render()
    made['operations/versions.inc'] = version_table(changes, operations)
    made['operations/header.inc'] = header_table(described[LAST], parameters)
    for name, text in error_tables(described[LAST], parameters).items():
        made[f'operations/{name}'] = text
    for exchange in walked:
        if exchange['name'].startswith(ELSEWHERE) or exchange['name'] in FRONT_MATTER:
            made[f'operations/{exchange["name"]}.inc'] = '\n'.join(sample(exchange)).rstrip('\n') + '\n'
    made['parameters.yaml'] = parameters.text()
    made['http-status.yaml'] = statuses.text()
    for name, text in exchanges.files(walked).items():
        made[f'samples/{name}'] = text
    return made


def differences(made):
    """What in source/ is not as it would be made."""
    there = {str(path.relative_to(SOURCE)) for directory in ('operations', 'samples')
             for path in (SOURCE / directory).glob('*')}
    stale = [f'{name}: not made any more' for name in sorted(there - set(made))]
    return stale + [f'{name}: differs' for name, text in made.items()
                    if not (SOURCE / name).exists() or (SOURCE / name).read_text() != text]


def write(made):
    for name in differences(made):
        path = SOURCE / name.partition(':')[0]
        path.unlink(missing_ok=True)
    for name, text in made.items():
        path = SOURCE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--check', action='store_true', help='write nothing, tell what differs')
    arguments = parser.parse_args()
    with service() as (url, door):
        made = everything(url, door)
    if arguments.check:
        found = differences(made)
        print('\n'.join(found))
        return 1 if found else 0
    write(made)
    return 0


if __name__ == '__main__':
    sys.exit(main())
