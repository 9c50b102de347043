"""The service's OpenAPI documents, one a microversion, as one history of each operation.

The service describes every microversion by itself. Here these descriptions are
laid side by side, so that each parameter, field, status and error code knows
in which versions it is there.
"""

import dataclasses
import re

# How a key of a map is shown in the path of a field, by the pattern that it is held to.
KEYS = {
    '^[0-9a-fA-F-]{36}$': '{uuid}',
    '^[A-Z0-9_]+$': '{NAME}',
    '^[A-Z0-9_]+$|^all$|^unknown$': '{TYPE}',
}
# The query parameter that stands for all those with a suffix; it is never sent itself.
GROUPS = 'groups'
SUFFIX = 'SUFFIX'
# Every request may have this header, so it is explained once.
VERSION_HEADER = 'OpenStack-API-Version'
WHOLE_BODY = '(the body)'


@dataclasses.dataclass
class Place:
    """A parameter or a field: at each minor version in which it is there, how it is there."""

    name: str
    where: str
    at: dict = dataclasses.field(default_factory=dict)

    def add(self, minor, schema, required, description):
        self.at[minor] = (kind(schema), required, description, bare(schema))

    @property
    def newest(self):
        return self.at[max(self.at)]


@dataclasses.dataclass
class Answer:
    """One status of an operation, with what a version says of it."""

    status: int
    text: dict = dataclasses.field(default_factory=dict)
    headers: dict = dataclasses.field(default_factory=dict)
    fields: dict = dataclasses.field(default_factory=dict)
    codes: dict = dataclasses.field(default_factory=dict)


class Operation:
    """A method of a path, through all versions."""

    def __init__(self, method, path):
        self.method = method
        self.path = path
        self.minors = []
        self.parameters = {}
        self.fields = {}
        self.answers = {}
        # Whether requests name a version, by which they are answered.
        self.is_versioned = False

    @property
    def key(self):
        return f'{self.method} {self.path}'

    @property
    def slug(self):
        words = re.sub(r'[^a-z]+', '-', self.path.lower()).strip('-') or 'root'
        return f'{words}-{self.method.lower()}'

    @property
    def since(self):
        return min(self.minors)

    def add(self, minor, described, document):
        self.minors.append(minor)
        self.tag, = described['tags']
        self.summary = described['summary']
        for parameter in described['parameters']:
            parameter = resolved(parameter, document)
            if parameter['name'] == VERSION_HEADER:
                self.is_versioned = True
            else:
                self._add_parameter(minor, parameter)
        body = described.get('requestBody')
        if body:
            schema = body['content']['application/json']['schema']
            for name, field, required in fields(schema, document):
                place = self.fields.setdefault(name, Place(name, 'body'))
                place.add(minor, field, required and body['required'], field.get('description'))
        for status, answer in described['responses'].items():
            self._add_answer(minor, int(status), resolved(answer, document), document)

    def _add_parameter(self, minor, parameter):
        if parameter['name'] != GROUPS:
            named = [(parameter['name'], parameter['schema'])]
        else:
            patterns = parameter['schema']['patternProperties'].items()
            named = [(re.match(r'\^([a-z_]+)', pattern)[1] + SUFFIX, {**schema, 'key': pattern})
                     for pattern, schema in patterns]
        for name, schema in named:
            place = self.parameters.setdefault(name, Place(name, parameter['in']))
            place.add(minor, schema, parameter['required'], parameter['description'])

    def _add_answer(self, minor, status, described, document):
        answer = self.answers.setdefault(status, Answer(status))
        answer.text[minor] = described['description']
        for name, header in described.get('headers', {}).items():
            place = answer.headers.setdefault(name, Place(name, 'header'))
            place.add(minor, header['schema'], header['required'], header['description'])
        content = described.get('content', {}).get('application/json')
        if not content:
            return
        if status >= 400:
            for code in codes(content['schema']):
                answer.codes.setdefault(code, []).append(minor)
            return
        for name, field, required in fields(content['schema'], document):
            place = answer.fields.setdefault(name, Place(name, 'body'))
            place.add(minor, field, required, field.get('description'))

    def add_refusals(self, described, document):
        """What only requests are answered that name a version without the operation."""
        for status, answer in described['responses'].items():
            if int(status) not in self.answers:
                for minor in self.minors:
                    self._add_answer(minor, int(status), resolved(answer, document), document)

    def places(self):
        """Everything that has a history, with words for what it is."""
        for place in self.parameters.values():
            yield f'{place.where} parameter {place.name}', place
        for place in self.fields.values():
            yield f'request field {place.name}', place
        for answer in self.answers.values():
            for place in answer.headers.values():
                # It names the version, so it differs from version to version.
                if place.name != VERSION_HEADER:
                    yield f'header {place.name} of {answer.status}', place
            if answer.status < 400:
                for place in answer.fields.values():
                    yield f'field {place.name} of {answer.status}', place

    def changes(self):
        """The minor versions after the first in which something documented changed, and what."""
        found = {}
        for words, place in self.places():
            for before, after in zip(self.minors, self.minors[1:]):
                if place.at.get(before) != place.at.get(after):
                    found.setdefault(after, []).append(words)
        for answer in self.answers.values():
            for before, after in zip(self.minors, self.minors[1:]):
                if (before in answer.text) != (after in answer.text):
                    found.setdefault(after, []).append(f'status {answer.status}')
        return found


def operations(documents):
    """All operations, in the order of the newest document; `documents` has one a minor version."""
    found = {}
    for minor in sorted(documents):
        for path, methods in documents[minor]['paths'].items():
            for method, described in methods.items():
                key = f'{method.upper()} {path}'
                operation = found.setdefault(key, Operation(method.upper(), path))
                operation.add(minor, described, documents[minor])
    newest = documents[max(documents)]['paths']
    order = [f'{method.upper()} {path}' for path in newest for method in newest[path]]
    return [found[key] for key in order + [key for key in found if key not in order]]


def resolved(part, document):
    """A part of a document, and what it lists, without references."""
    while '$ref' in part:
        target = document
        for name in part['$ref'].removeprefix('#/').split('/'):
            target = target[name.replace('~1', '/')]
        part = {**target, **{key: value for key, value in part.items() if key != '$ref'}}
    if 'items' in part:
        part = {**part, 'items': resolved(part['items'], document)}
    return part


def fields(schema, document, prefix=''):
    """Every field of a body: its path, its schema, whether it is always there."""
    schema = resolved(schema, document)
    if 'oneOf' in schema:
        yield from choices(schema['oneOf'], document, prefix)
        return
    if not prefix and kind(schema) != 'object':
        yield WHOLE_BODY, {'description': 'A plain list.', **schema}, True
    required = schema.get('required', ())
    for name, field in schema.get('properties', {}).items():
        field = resolved(field, document)
        yield f'{prefix}{name}', field, name in required
        yield from fields(field, document, f'{prefix}{name}.')
    for pattern, field in schema.get('patternProperties', {}).items():
        yield from fields(field, document, f'{prefix}{KEYS.get(pattern, "{SUFFIX}")}.')
    if 'items' in schema:
        yield from fields(schema['items'], document, f'{prefix.removesuffix(".")}[].')


def choices(options, document, prefix):
    """The fields of a body that has one of several forms; those are always there that all forms have."""
    found = {}
    for option in options:
        for name, field, required in fields(option, document, prefix):
            found.setdefault(name, []).append((field, required))
    for name, places in found.items():
        yield name, places[0][0], len(places) == len(options) and all(required for _, required in places)


def kind(schema):
    """The type, in words."""
    if 'anyOf' in schema:
        return ' or '.join(kind(option) for option in schema['anyOf'])
    kinds = schema.get('type') or ('integer' if isinstance(schema.get('const'), int) else 'string')
    if kinds == 'array':
        return f'array of {kind(schema.get("items", {}))}s' if 'items' in schema else 'array'
    return ' or '.join(kinds) if isinstance(kinds, list) else kinds


def bare(schema):
    """The schema without its words and without the members that are fields of their own."""
    left_out = ('description', 'properties', 'patternProperties', 'required', 'items')
    return {key: value for key, value in schema.items() if key not in left_out}


def codes(schema):
    """The error codes that the schema of an error names."""
    if isinstance(schema, list):
        return [code for part in schema for code in codes(part)]
    if not isinstance(schema, dict):
        return []
    if 'code' in schema and isinstance(schema['code'], dict):
        return schema['code'].get('enum', [])
    return [code for part in schema.values() for code in codes(part)]
