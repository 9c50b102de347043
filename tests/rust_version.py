#!/usr/bin/env python3
"""Fails where a crate in Cargo.lock needs a newer Rust than Cargo.toml and README.md promise.

Reads what `cargo metadata --locked --format-version 1` prints. Only Python's standard library is needed.
"""

import json
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[1]


def number(version):
    """1.89 and 1.89.0 are the same."""
    major, minor, *patch = map(int, version.split('.'))
    return major, minor, *(patch or [0])


def problems(metadata):
    packages = metadata['packages']
    promised = next(p['rust_version'] for p in packages if p['name'] == 'allotment')
    for package in packages:
        needed = package['rust_version']
        if needed and number(needed) > number(promised):
            yield f'{package["name"]} {package["version"]} needs Rust {needed}, and Cargo.toml promises {promised}'
    for file, words in (('README.md', f'Rust {promised} or newer'), ('contrib/Containerfile', f'rust:{promised}-')):
        text = re.sub(r'\s+', ' ', (PROJECT / file).read_text())
        if words not in text:
            yield f'{file} does not say {words!r}'


def main():
    found = list(problems(json.load(sys.stdin)))
    for problem in found:
        print(f'rust_version.py: {problem}', file=sys.stderr)
    sys.exit(bool(found))


if __name__ == '__main__':
    main()
