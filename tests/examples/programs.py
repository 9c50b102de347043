"""The examples, each in every language in which it is there."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'
# The ending of an example's file, by language.
ENDINGS = {'python': '.py', 'sdk': '_sdk.py', 'shell': '.sh', 'rust': '.rs'}


def command(name, language):
    """How an example is started."""
    program = EXAMPLES / f'{name}{ENDINGS[language]}'
    if language == 'rust':
        # Beside the program under test, where cargo puts both.
        return [pathlib.Path(os.environ['ALLOTMENT_BIN']).resolve().parent / 'examples' / name]
    return [sys.executable, program] if program.suffix == '.py' else [program]


def run(url, name, language, *arguments, **settings):
    """Run an example against the service to its end."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith('OS_')}
    return subprocess.run(
        [*command(name, language), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, env={**kept, 'PLACEMENT_URL': url, 'NO_PROXY': '*', 'no_proxy': '*',
                          'OS_AUTH_TYPE': 'admin_token', 'OS_TOKEN': 'admin', 'OS_ENDPOINT': url,
                          **settings})


def run_all(url, name, calls, **settings):
    """Run an example many times at once, each with a language and arguments."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: run(url, name, *call, **settings), calls))
