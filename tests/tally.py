"""Add up the closing lines of test runs: tally.py LOG…"""

import pathlib
import re
import sys

# cargo test's "test result:", pytest's last line, the conformance runner's.
CLOSING = [
    re.compile(r'^test result: .*?;?.* \d+ (?:passed|failed)'),
    re.compile(r'^(?:=+ )?\d+ (?:passed|failed|skipped|error).* in [\d.]+s'),
    re.compile(r'^\d+ passed, \d+ failed, \d+ skipped$'),
]
COUNT = re.compile(r'(\d+) (passed|failed|errors?|skipped|ignored)')
MEANING = {'error': 'failed', 'errors': 'failed', 'ignored': 'skipped'}


def tally(lines):
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for line in lines:
        if any(pattern.match(line) for pattern in CLOSING):
            for number, word in COUNT.findall(line):
                counts[MEANING.get(word, word)] += int(number)
    # One that could not be built, say, counted nothing.
    if lines[-1:] != ['exit code 0'] and not counts['failed']:
        counts['failed'] = 1
    return counts


def main(paths):
    tallies = [tally(pathlib.Path(path).read_text(errors='replace')
                     .splitlines()) for path in paths]
    print(', '.join(f'{sum(counts[word] for counts in tallies)} {word}'
                    for word in ('passed', 'failed', 'skipped')))


if __name__ == '__main__':
    main(sys.argv[1:])
