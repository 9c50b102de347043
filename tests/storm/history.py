"""A history and its end as files: the world, one line for each request and fault, the end.

    history.py DIR          check a history again
    history.py DIR COPY     copy a history with short names in place of uuids, as a recording for the tests
"""

import itertools
import json
import pathlib
import re
import sys

FILES = ('world.json', 'history.jsonl', 'end.json')
UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def save(directory, world, history, end):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / 'world.json').write_text(json.dumps(world) + '\n')
    with open(directory / 'history.jsonl', 'w') as file:
        for record in sorted(history, key=lambda record: record['begin']):
            file.write(json.dumps(record, separators=(',', ':')) + '\n')
    (directory / 'end.json').write_text(json.dumps(end) + '\n')


def load(directory):
    directory = pathlib.Path(directory)
    world = json.loads((directory / 'world.json').read_text())
    with open(directory / 'history.jsonl') as file:
        records = [json.loads(line) for line in file]
    return world, records, json.loads((directory / 'end.json').read_text())


def shorten(directory, target):
    """Copies a history, in which each uuid gets the next number."""
    names, numbers = {}, itertools.count(1)
    for name in FILES:
        text = (pathlib.Path(directory) / name).read_text()
        for uuid in UUID.findall(text):
            if uuid not in names:
                names[uuid] = f'u{next(numbers)}'
        (pathlib.Path(target) / name).write_text(UUID.sub(lambda found: names[found[0]], text))


def main(directory, target=None):
    if target:
        shorten(directory, target)
        return 0
    import checker
    findings = checker.check(*load(directory))
    print(*findings, sep='\n')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
