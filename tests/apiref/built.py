"""The built site, read back: what it says of each operation, and where its links lead."""

import html.parser
import pathlib
import pickle
import re
import subprocess
import sys
import urllib.parse

from docutils import nodes

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / 'api-ref' / 'source'


def build(directory):
    """Build as `make api-ref` does; returns what went wrong, if anything."""
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-E', '-W', '--keep-going', '-q', '-b', 'html',
         '-d', directory / 'doctrees', SOURCE, directory / 'html'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return '' if done.returncode == 0 else done.stdout + done.stderr


class Said:
    """The description of one operation on the site."""

    def __init__(self, method, details):
        self.since = method['min_version']
        self.statuses = {}
        self.parameters = set()
        self.request_fields = set()
        self.answers = {}
        for section in details.findall(nodes.section):
            title = section.next_node(nodes.title).astext()
            if title in ('Success', 'Error'):
                self._statuses(section)
            elif title == 'Request':
                for name, where in rows(section):
                    if where == 'body':
                        self.request_fields.add(name)
                    else:
                        self.parameters.add((where, name))
            elif title.startswith('Response'):
                self.answers[title.removeprefix('Response').strip()] = set(rows(section))

    def _statuses(self, section):
        for row in section.findall(nodes.row):
            for code in row.findall(lambda node: type(node).__name__ == 'http_code'):
                self.statuses[code['code']] = {
                    node['reftarget'] for node in row.findall() if isinstance(node, nodes.Element)
                    and node.get('reftarget', '').startswith('placement.')}


def rows(section):
    """Name and place of each parameter in the tables of a section."""
    for row in section.findall(nodes.row):
        cells = [entry.astext() for entry in row.children]
        if len(cells) == 4 and cells[0] != 'Name':
            yield cells[0].removesuffix(' (Optional)'), cells[1]


def operations(directory):
    """The descriptions on the site, by method and path; an operation that is described twice fails."""
    found = {}
    for page in pathlib.Path(directory, 'doctrees').glob('*.doctree'):
        tree = pickle.loads(page.read_bytes())
        for control in tree.findall(lambda node: 'detail-control' in getattr(node, 'attributes', {}).get('classes', [])):
            method = next(control.findall(lambda node: type(node).__name__ == 'rest_method'))
            siblings = control.parent.children
            details = siblings[siblings.index(control) + 1]
            key = f'{method["method"]} {plain(method["url"])}'
            assert key not in found, f'{key} is told twice'
            found[key] = Said(method, details)
    return found


def plain(url):
    return re.sub(r'<[^>]*>', '', url)


class Page(html.parser.HTMLParser):
    """The anchors of a page, where it leads, and what it loads."""

    # Elements that load what they name, and links that are followed.
    LOADS = {('script', 'src'), ('img', 'src'), ('link', 'href'), ('iframe', 'src')}
    LINKS = {('a', 'href'), ('form', 'action')}

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == 'id' or (tag == 'a' and name == 'name'):
                self.anchors.add(value)
            if (tag, name) in self.LOADS:
                self.loads.add(value)
            if (tag, name) in self.LINKS and value:
                self.links.add(value)


def dead_links(directory):
    """Each link or load of the site that leads nowhere within it, and each that leaves it."""
    root = pathlib.Path(directory, 'html').resolve()
    pages = {path: Page(path) for path in root.rglob('*.html')}
    dead, leaving = [], []
    for path, page in pages.items():
        for link in sorted(page.links | page.loads):
            address = urllib.parse.urlsplit(link)
            if address.scheme or address.netloc:
                leaving.append(f'{path.name}: {link}')
                continue
            target = (path.parent / urllib.parse.unquote(address.path)).resolve() if address.path else path
            anchor = urllib.parse.unquote(address.fragment)
            if not target.is_relative_to(root) or not target.exists():
                dead.append(f'{path.name}: {link}')
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f'{path.name}: {link}')
    for sheet in root.rglob('*.css'):
        for address in re.findall(r'url\(\s*["\']?([^"\')]+)', sheet.read_text(errors='replace')):
            if re.match(r'(https?:)?//', address):
                leaving.append(f'{sheet.name}: {address}')
    return dead, leaving
