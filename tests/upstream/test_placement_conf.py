"""placement.conf is read as oslo.config reads it, and each option of Placement has a fate."""

import json
import pathlib
import signal
import subprocess
import sys
import time
import tomllib

import api
import drivers
import pytest
from keystonemiddleware.auth_token import _opts as token_options
from oslo_config import cfg
from placement import conf as placement_conf

# The namespaces of Placement 16.0.0 and of the libraries whose options it loads.
NAMESPACES = ['placement.conf', 'keystonemiddleware.auth_token', 'oslo.log', 'oslo.middleware.cors',
              'oslo.middleware.http_proxy_to_wsgi', 'oslo.policy', 'osprofiler']

# Options of older releases, which deployment tools still write.
OLDER = {('oslo_policy', 'enforce_scope')}

# The options of the plugins by which keystonemiddleware logs in are not in the generator's list.
PLUGINS = ['password', 'v3password', 'v3applicationcredential']


def generated():
    """All options as oslo-config-generator has them: section, name in a file, and the option."""
    arguments = [part for name in NAMESPACES for part in ('--namespace', name)]
    done = subprocess.run([pathlib.Path(sys.executable).with_name('oslo-config-generator'), *arguments,
                           '--format', 'json'], check=True, capture_output=True, text=True)
    for section, group in json.loads(done.stdout)['options'].items():
        for option in group['opts']:
            yield section, option['dest'], option


OPTIONS = [(section, name, option) for section, name, option in generated()]


def run(*arguments):
    return subprocess.run([drivers.binary(), 'config', *map(str, arguments)], capture_output=True, text=True,
                          env=drivers.environment(), timeout=60)


@pytest.fixture(scope='module')
def fates():
    done = run('placement-options')
    assert done.returncode == 0, done.stderr
    lines = [line.split('\t') for line in done.stdout.splitlines()]
    return {(section, name): (fate, detail) for section, name, fate, detail in lines}


class File:
    """A placement.conf, and what becomes of it."""

    def __init__(self, directory):
        self.path = directory / 'placement.conf'

    def translate(self, text):
        self.path.write_text(text)
        return run('from-placement', self.path)

    def settings(self, text):
        done = self.translate(text)
        assert done.returncode == 0, done.stderr
        return tomllib.loads(done.stdout), [line for line in done.stdout.splitlines() if line.startswith('#')]


@pytest.fixture
def file(tmp_path):
    return File(tmp_path)


def plugin_options():
    from keystoneauth1 import loading
    found = {}
    for plugin in PLUGINS:
        for option in loading.get_plugin_options(plugin):
            names = found.setdefault(option.dest, set())
            names.update(older.dest for older in option.deprecated)
    return found


def test_there_are_122_options():
    assert len(OPTIONS) == 122


def test_each_option_has_a_fate(fates):
    expected = {(section, name) for section, name, _ in OPTIONS}
    expected |= {('keystone_authtoken', name) for name in plugin_options()}
    assert expected - set(fates) == set()
    assert set(fates) - expected == OLDER
    for (section, name), (fate, detail) in fates.items():
        assert fate in ('honoured', 'silent', 'remark'), (section, name)
        assert bool(detail) == (fate != 'silent'), (section, name)


def other(option):
    """A value that is not the default."""
    if option['choices']:
        choices = [choice for choice, _ in option['choices'] if choice]
        return next(choice for choice in choices if str(choice).lower() != str(option['default']).lower())
    match option['type']:
        case 'boolean value':
            return 'false' if option['default'] else 'true'
        case 'integer value' | 'floating point value':
            return '7'
        case 'dict value':
            return 'a:b'
        case _:
            return {'connection': 'sqlite:////tmp/x', 'auth_type': 'v3password', 'interface': 'public',
                    'auth_section': 'own', 'policy_file': '/dev/null',
                    'policy_dirs': '/tmp'}.get(option['dest'], 'other')


def names(section, option):
    yield section, option['dest']
    for older in option['deprecated_opts']:
        if older['name']:
            yield older['group'] or section, older['name'].replace('-', '_')


@pytest.mark.parametrize('section, name, option', OPTIONS, ids=[f'{section}-{name}' for section, name, _ in OPTIONS])
def test_a_value_has_its_fate(file, fates, section, name, option):
    fate, detail = fates[section, name]
    plain, remarks = file.settings('')
    assert remarks == []
    for place, spelled in names(section, option):
        settings, remarks = file.settings(f'[{place}]\n{spelled} = {other(option)}\n')
        told = [remark for remark in remarks if f'[{place}] {spelled}: is not honoured: {detail}' in remark]
        if fate == 'remark':
            assert len(remarks) == len(told) == 1 and settings == plain
        elif fate == 'silent':
            assert remarks == [] and settings == plain
        elif name == 'policy_file':
            # /dev/null is no file of rules.
            assert 'there is no such file' in remarks[0]
        elif name not in ('auth_type', 'auth_section', 'connection_parameters'):
            # These three have an effect on other options only.
            assert remarks == [] and settings != plain, (settings, remarks)


def test_defaults_are_not_remarked_upon(file, fates):
    lines = []
    for section, name, option in OPTIONS:
        default = option['default']
        # Placement changes the defaults of CORS when it starts. The generator does not show that.
        if default not in (None, [], {}) and section != 'cors' and name not in ('pybasedir', 'state_path'):
            values = default if option['type'] == 'multi valued' else [default]
            for value in values:
                value = ','.join(value) if isinstance(value, list) else value
                lines.append(f'[{section}]\n{name} = {value}\n'.replace('$', '$$'))
    settings, remarks = file.settings(''.join(lines))
    assert [line for line in remarks if 'there is no such file' not in line] == []
    assert settings['auth']['strategy'] == 'keystone'


def test_plugin_options_have_their_older_names(file):
    for name, older in plugin_options().items():
        for spelled in [name, *older]:
            done = file.translate(f'[keystone_authtoken]\n{spelled} = x\n')
            assert 'no option' not in done.stdout, spelled


def theirs(path):
    """The values of a few options, or None if oslo.config refuses the file."""
    config = cfg.ConfigOpts()
    placement_conf.register_opts(config)
    for group, options in token_options.list_opts():
        config.register_opts(options, group=group)
    try:
        config([], project='placement', default_config_files=[str(path)], default_config_dirs=[])
        return {
            'text': config.placement.incomplete_consumer_user_id,
            'flag': config.placement.randomize_allocation_candidates,
            'number': config.placement.max_allocation_candidates,
            'list': config.cors.allowed_origin,
        }
    except (cfg.Error, ValueError, SystemExit):
        return None


NOBODY = '00000000-0000-0000-0000-000000000000'
START = '[placement_database]\nconnection = sqlite:////x\n'


def ours(file):
    done = run('from-placement', file.path)
    if done.returncode:
        assert done.returncode == 2 and str(file.path) in done.stderr
        return None
    settings = tomllib.loads(done.stdout)
    placement = settings.get('placement', {})
    return {
        'text': placement.get('incomplete_consumer_user_id', NOBODY),
        'flag': placement.get('randomize_allocation_candidates', False),
        'number': placement.get('max_allocation_candidates', -1),
        'list': settings.get('cors', {}).get('allowed_origins'),
    }


TEXTS = ['a', ' a b ', '"a"', "'a'", '"a', '"', "''", '', 'a # b', 'a ; b', 'a\n  b', 'a\n  # b', 'a\n\n', "'a\n  b'",
         'a=b', 'a:b', 'ä', '$$', 'a$', '$-', '\\$x', '$$x', '${', '${debug', '$debug', '${debug}', '$api.auth_strategy',
         '${api.auth_strategy}!', '$state_path', '$nothing', '${no.thing}', '$debug.', '$max_allocation_candidates',
         '$placement.max_allocation_candidates', '$randomize_allocation_candidates', '$tempdir', '%(a)s', '$1', '$Debug']
FLAGS = ['true', 'TRUE', 'On', 'yes', '1', 'false', '0', 'oFF', 'no', '', 'maybe', ' true ', '2', 'true\n  x']
NUMBERS = ['3', ' 3 ', '-1', '+4', '', '1.5', '1_0', '_1', '1_', '1__0', 'x', '0x10', '3 # x']
LISTS = ['', 'a', 'a,b', ' a , b ', 'a,,b', ',a', 'a,', 'a,,', ',', '"a,b"', 'a,\n  b', '[a, b]']
FILES = [
    'a = b', '[a', 'a]', '[]', '[a] # b', '[a]\nb', '[a]\n= b', '[a]\n b = c', '[a]\n# b\n c', '[a]\nb = c\n\n d',
    '[Placement]\nmax_allocation_candidates = 3', '[PLACEMENT]\nmax_allocation_candidates = 4\n[placement]\n'
    'max_allocation_candidates = 5', '[ placement ]\nmax_allocation_candidates = 3',
    '[placement]\nMax_allocation_candidates = 3', '[placement]\nmax-allocation-candidates = 3',
    '[placement]\nmax_allocation_candidates : 3', '[placement]\nmax_allocation_candidates=3\nmax_allocation_candidates=4',
    '[default]\ndebug = nonsense', '[placement]\n; max_allocation_candidates = 3\n#max_allocation_candidates = 4',
    '\ufeff[placement]', '[a]b]\nc = d', '[a:b]\nc = d', '[placement]\r\nmax_allocation_candidates = 3\r\n',
]


@pytest.mark.parametrize('text', [
    *(f'[placement]\nincomplete_consumer_user_id = {text}\n' for text in TEXTS),
    *(f'[placement]\nrandomize_allocation_candidates = {text}\n' for text in FLAGS),
    *(f'[placement]\nmax_allocation_candidates = {text}\n' for text in NUMBERS),
    *(f'[cors]\nallowed_origin = {text}\n' for text in LISTS),
    *FILES,
], ids=repr)
def test_values_are_those_of_oslo_config(file, text):
    file.path.write_text(START + text)
    # pybasedir is the directory of Placement's code, which this service does not have.
    expected = theirs(file.path)
    found = ours(file)
    if expected and '$state_path' in text:
        assert found['text'] != NOBODY
    elif expected and 'max_allocation_candidates = \n' in text:
        assert expected['number'] is None and found['number'] == -1
    else:
        assert found == expected


class FromPlacement(drivers.UpstreamServer):
    """Our service, started with the very file that upstream is started with."""

    def command(self):
        return [drivers.binary(), 'serve', '--placement-conf', self.workdir / 'placement.conf',
                '--listen', f'127.0.0.1:{self.port}']

    def log(self):
        return (self.workdir / 'server.log').read_text()


@pytest.mark.parametrize('database', ['sqlite', 'postgres', 'mysql'], indirect=True)
def test_the_service_starts_with_the_file_of_upstream(serve, database, tmp_path):
    later = tmp_path / 'placement.conf.d'
    later.mkdir()
    (later / '1.conf').write_text('[oslo_policy]\npolicy_file = rules.yaml\n[placement_database]\nslave_connection = x\n')
    (tmp_path / 'rules.yaml').write_text('"placement:traits:list": "!"\n')
    server = serve(FromPlacement)
    client = api.Api(server.url)
    assert client.send('GET', '/resource_providers').status_code == 200
    assert client.send('GET', '/traits').status_code == 403
    told = '1.conf, line 4: [placement_database] slave_connection: is not honoured: searches are answered from memory'
    assert server.log().count(told) == 1, server.log()
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while 'SIGHUP: policy' not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
    assert server.log().count(told) == 2
    assert 'for the next start only' not in server.log()


@pytest.mark.parametrize('text, words', [
    (None, 'cannot read'),
    ('connection = x', 'line 1: the option stands before the first section'),
    ('[placement_database]\nconnection = mysql+pymysql://u:hush@h/d\nmax_retries = hush\n',
     'line 3: [placement_database] max_retries: must be a whole number'),
    ('[placement_database]\nconnection = oracle://u:hush@h/d\n[api]\nauth_strategy = noauth2\n',
     'line 2: [placement_database] connection'),
    ('[api]\nauth_strategy = noauth2\n', '[placement_database] connection is missing'),
    ('[placement_database]\nconnection = sqlite:////x\n', 'auth.keystone.auth_url: is needed'),
])
def test_a_wrong_file_stops_the_start(file, text, words):
    if text is not None:
        file.path.write_text(text)
    done = subprocess.run([drivers.binary(), 'serve', '--placement-conf', file.path], capture_output=True, text=True,
                          env=drivers.environment(), timeout=60)
    assert done.returncode == 2 and words in done.stderr and 'hush' not in done.stderr, done
    assert str(file.path) in done.stderr or 'auth_url' in words
