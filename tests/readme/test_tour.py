"""The README's tour, run as it stands there, against a fresh service."""

import json
import os
import pathlib
import re
import subprocess

import pytest

README = pathlib.Path(__file__).resolve().parents[2] / 'README.md'
END_OF_BLOCK = '--- end of block ---'


def blocks():
    """Each shell block of the tour with the JSON shown after it, if any."""
    tour = README.read_text().split('## A tour')[1].split('\n## ')[0]
    found = []
    for kind, text in re.findall(r'```(sh|json)\n(.*?)```', tour, re.DOTALL):
        if kind == 'sh':
            found.append([text, None])
        else:
            found[-1][1] = json.loads(text)
    return found


def run_tour(url):
    """Run all blocks in one shell; returns what each printed."""
    script = ''.join(f'{text}\necho; echo "{END_OF_BLOCK}"\n' for text, _ in blocks())
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', script], capture_output=True, text=True,
        env={'PATH': os.environ['PATH'], 'URL': url, 'NO_PROXY': '*'}, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(END_OF_BLOCK)[:-1]


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
def test_tour(serve, driver, database):
    printed = run_tour(serve(driver).url)
    assert len(printed) == len(blocks())
    for (text, shown), output in zip(blocks(), printed):
        if shown is None:
            assert '"errors"' not in output, f'{text}\n{output}'
        else:
            error = json.loads(output)['errors'][0]
            assert shown.items() <= error.items(), text
    assert '"VCPU":4' in printed[4].replace(' ', ''), printed[4]
    assert 'HW_CPU_X86_AESNI' in printed[-1]
