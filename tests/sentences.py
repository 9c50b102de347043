#!/usr/bin/env python3
"""Fails on sentences that open with a word which leaves the reader without a subject.

Read are the comments and texts of src/ and tests/, all documents, and the comments of the Makefile, contrib/ and .ci/.
`--list` only lists the sentences, with the number in each file. Arguments limit the search to files and directories.
Only Python's standard library is needed.
"""

import argparse
import ast
import collections
import inspect
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENTS = ['*.md', 'docs/**/*.md', 'tests/*.md', 'benches/*.md', 'examples/*.md', 'api-ref/source/*.rst',
             'api-ref/source/*.yaml', 'api-ref/*.yaml']
REMARKS = ['Makefile', 'contrib/*', '.ci/run', '*.toml', 'tests/*.sh']
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

WORDS = 'What|Whatever|Who|Whom|Whose|Whoever|Those|Of'
# A sentence starts with its paragraph, after a stop, and in each cell of a table. Marks of emphasis may stand between.
OPENING = re.compile(rf'(?:^|[.!?:]["\')*_]*\s|\|\s)\s*["(*_]*(?:{WORDS})\b')
ITEM = re.compile(r'\s*(?:[-*+]|\d+\.|#+|>)\s+')
KEY = re.compile(r'\s*(?:- )?[\w$.-]+:(?:\s+|$)')
CODE = re.compile(r'(`+)(?:(?!`).)+\1', re.DOTALL)
EXAMPLE = re.compile(r'^ *>>>.*(?:\n.*\S.*)*', re.MULTILINE)
RUST = re.compile(
    r'(?<!\w)b?r(?P<fence>#*)"(?P<raw>.*?)"(?P=fence)|b?"(?P<string>(?:\\.|[^"\\])*)"'
    r"|'(?:\\[^']*|[^\\'])'|(?P<mark>//[/!]?)(?P<comment>[^\n]*)|/\*.*?\*/", re.DOTALL)


def openings(paragraph):
    """Such sentences of a paragraph, which is a list of numbered lines: the line of each, and the first words.

    >>> openings([(1, 'A fact. The next'), (2, 'fact. Those'), (3, 'are here.')])
    [(2, 'Those are here.')]
    >>> openings([(1, 'Whether it is so. `What` is a type, and so is `a. Who`.')])
    []
    >>> openings([(7, '**Whose turn** it is. (What follows)'), (8, '| Of | the |')])
    [(7, '**Whose turn** it is.'), (7, '(What follows) | Of'), (8, '| Of | the')]
    """
    text = '\n'.join(line.strip() for _, line in paragraph)
    masked = CODE.sub(lambda code: re.sub(r'[^\n]', '_', code[0]), text)
    found = []
    for match in OPENING.finditer(masked):
        start = match.start() + len(re.match(r'[.!?:]?["\')*_]*\s+|', match[0])[0])
        number = paragraph[text.count('\n', 0, start)][0]
        found.append((number, ' '.join(text[start:].split()[:4])))
    return found


def prose(lines):
    """The paragraphs of a text in Markdown, reStructuredText or YAML. Code is left out.

    >>> [len(paragraph) for paragraph in prose(enumerate(['a', 'b', '', '    Of()', '', '- c', '  d', '- e']))]
    [2, 2, 1]
    >>> [len(paragraph) for paragraph in prose(enumerate(['a', '```', 'Of()', '```', 'b', 'key: c', '| d |', '| e |']))]
    [1, 1, 1, 1, 1]
    """
    paragraphs, current, fenced, list_open = [], [], False, False

    def end():
        nonlocal current
        if current:
            paragraphs.append(current)
        current = []

    for number, line in lines:
        if line.strip().startswith('```'):
            fenced = not fenced
            end()
            continue
        if fenced:
            continue
        if not line.strip():
            end()
            continue
        item = ITEM.match(line) or KEY.match(line)
        if item or line.lstrip().startswith('|'):
            end()
            list_open = True
        elif not line.startswith(' '):
            list_open = False
        elif not current and not list_open and line.startswith('    '):
            continue
        current.append((number, line[item.end():] if item else line))
    end()
    return paragraphs


def comments(text):
    """The paragraphs of the comments and of the strings in Rust, or of the strings in JSON.

    >>> comments('/// A.\\n///\\n/// B\\n/// C.\\nlet x = "//d"; // E\\n//! F\\n')
    [[(1, 'A.')], [(3, 'B'), (4, 'C.')], [(5, '//d')], [(5, 'E')], [(6, 'F')]]
    >>> comments('"a \\\\\\n    Of b"')
    [[(1, 'a Of b')]]
    """
    blocks, last = [], (None, None)
    for token in RUST.finditer(text):
        number = text.count('\n', 0, token.start()) + 1
        if token['mark']:
            alone = not text[text.rfind('\n', 0, token.start()) + 1:token.start()].strip()
            if not alone or last != (token['mark'], number - 1):
                blocks.append([])
            blocks[-1].append((number, token['comment'].removeprefix(' ')))
            last = (token['mark'], number) if alone else (None, None)
        elif (string := token['string'] or token['raw']):
            # A continued line goes on behind its blanks, and \n ends a line.
            string = re.sub(r'\\\n\s*', '', string).replace('\\n', '\n').replace('\\"', '"')
            blocks.append([(number, line) for line in string.split('\n')])
    return [paragraph for block in blocks for paragraph in prose(block)]


def remarks(text):
    """The paragraphs of comments that begin with a hash.

    >>> remarks('# A\\n# B\\nx = 1\\n#\\n  @# C')
    [[(1, 'A'), (2, 'B')], [(5, 'C')]]
    """
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        comment = re.match(r'\s*@?#(?!!)\s?(.*)', line)
        lines.append((number, comment[1].strip() if comment else ''))
    return prose(lines)


def python(text):
    """The paragraphs of the comments and of the docstrings in Python. Examples are left out.

    >>> python('"A."\\n# B\\nclass X:\\n    "C"\\n')
    [[(2, 'B')], [(1, 'A.')], [(4, 'C')]]
    >>> python("'''A\\n\\n>>> Of()\\n1\\n\\nB'''")
    [[(1, 'A')], [(6, 'B')]]
    """
    paragraphs = remarks(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            first = node.body[0]
            lines = EXAMPLE.sub(lambda example: '\n' * example[0].count('\n'), inspect.cleandoc(first.value.value))
            paragraphs += prose(enumerate(lines.splitlines(), first.lineno))
    return paragraphs


def files(kind):
    patterns = {'rust': ['src/**/*.rs', 'src/**/*.json', 'tests/**/*.rs'], 'python': ['tests/**/*.py'],
                'prose': DOCUMENTS, 'remarks': REMARKS}[kind]
    return sorted({path for pattern in patterns for path in PROJECT.glob(pattern)} - {PROJECT / 'LICENSE'})


def sentences():
    """All such sentences: file, line, the first words."""
    readers = {'rust': comments, 'python': python, 'prose': lambda text: prose(enumerate(text.splitlines(), 1)),
               'remarks': remarks}
    for kind, read in readers.items():
        for path in files(kind):
            for paragraph in read(path.read_text()):
                for number, words in openings(paragraph):
                    yield path, number, words


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--list', action='store_true', help='list the sentences and count them, and do not fail')
    parser.add_argument('paths', nargs='*', type=pathlib.Path, help='files and directories; all without any')
    arguments = parser.parse_args()
    wanted = [path.resolve() for path in arguments.paths]
    counts = collections.Counter()
    for path, number, words in sentences():
        if wanted and not any(path == want or want in path.parents for want in wanted):
            continue
        name = path.relative_to(PROJECT)
        counts[name] += 1
        print(f'{name}:{number}: {words} …', file=sys.stdout if arguments.list else sys.stderr)
    if arguments.list:
        for name, count in counts.most_common():
            print(f'{count:5} {name}')
        print(f'{counts.total():5} in all')
    elif counts:
        sys.exit(f'sentences.py: {counts.total()} sentences open with one of {WORDS.replace("|", ", ")}: name the thing first')


if __name__ == '__main__':
    main()
