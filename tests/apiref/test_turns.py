"""The walk on the page of taking turns, run as it stands there."""

import os
import re
import subprocess
import textwrap

import built
import drivers
import pytest

BLOCK = re.compile(r'^\.\. code-block:: (sh|json)\n\n((?:   .*\n|\n)+)', re.MULTILINE)


def blocks():
    """Each block of shell with what it prints, if that is shown."""
    page = (built.SOURCE / 'turns.rst').read_text()
    walk = page.split('\nBy hand\n')[1].split('\nSeveral things at once\n')[0]
    found = []
    for kind, text in BLOCK.findall(walk):
        if kind == 'sh':
            found.append([textwrap.dedent(text), None])
        else:
            found[-1][1] = textwrap.dedent(text).split('\n')
    return found


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_the_walk_goes_as_it_stands_there(serve, database):
    walk = blocks()
    assert len(walk) == 5 and sum(shown is not None for _, shown in walk) == 4
    end = '--- end of block ---'
    script = ''.join(f'{text}\necho "{end}"\n' for text, _ in walk)
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', script], capture_output=True, text=True, timeout=120,
        env={'PATH': os.environ['PATH'], 'URL': serve(drivers.AllotmentServer).url, 'NO_PROXY': '*'})
    assert done.returncode == 0, done.stderr
    for (text, shown), printed in zip(walk, done.stdout.split(f'{end}\n')):
        if shown is None:
            assert '"errors"' not in printed, printed
        else:
            lines = [line for line in shown if line]
            assert [line.replace(' ', '') for line in lines] == printed.split('\n')[:-1], text
