"""`allotment policy` decides as oslo.policy itself, with Placement's own rules."""

import collections
import json
import random
import subprocess

import drawn
import drivers
import oslo
import pytest
import yaml

# Ten thousand questions about as many random rules.
FILES = 2_500
QUESTIONS = 4


@pytest.fixture(scope='module')
def oslos(tmp_path_factory):
    directory = tmp_path_factory.mktemp('policy')
    return {new: oslo.Oslo(directory, new) for new in (False, True)}


def run(*arguments, **options):
    return subprocess.run([drivers.binary(), 'policy', *arguments], capture_output=True, text=True,
                          env=drivers.environment(), timeout=300, **options)


def answers(questions):
    """The decision of allotment about each question: True, False, or None if it refuses the file."""
    lines = '\n'.join(json.dumps(question) for question in questions)
    done = run('check', '--batch', input=lines)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(questions)
    return found


def expected(oslos, questions):
    """The same from oslo.policy about the questions to one file, and why it refuses that."""
    judge = oslos[questions[0]['enforce_new_defaults']]
    try:
        judge.load(questions[0]['policy'])
    except oslo.Refused as refused:
        return [(None, str(refused))] * len(questions)
    return [(judge.decide(question['rule'], question['credentials'], question['target']), '')
            for question in questions]


def test_ten_thousand_random_questions_are_answered_alike(oslos):
    seed = random.randrange(10 ** 9)
    draw = drawn.Draw(random.Random(seed))
    files = [draw.questions(QUESTIONS) for _ in range(FILES)]
    questions = [question for file in files for question in file]
    judged = [judgement for file in files for judgement in expected(oslos, file)]
    seen = collections.Counter()
    differences = []
    for question, answer, (wanted, why) in zip(questions, answers(questions), judged, strict=True):
        seen[wanted] += 1
        if answer.get('allowed') is not wanted:
            differences.append((question, answer, wanted, why))
    assert not differences, (
        f'seed {seed}: {len(differences)} differences, the first:\n'
        + '\n'.join(map(repr, differences[:3])))
    # Else the comparison would say little.
    assert seen[True] > 1000 and seen[False] > 1000 and seen[None] > 200, seen


@pytest.mark.parametrize('new', [False, True])
@pytest.mark.parametrize('text', ['', '"service_api": "role:x or @"\n"mine": [["role:a", "!"], "role:b"]\n'])
def test_the_list_is_a_policy_file_that_says_the_same(oslos, tmp_path, new, text):
    (tmp_path / 'policy.yaml').write_text(text)
    (tmp_path / 'allotment.toml').write_text(f'[policy]\nenforce_new_defaults = {str(new).lower()}\n')
    done = run('list', '--file', tmp_path / 'policy.yaml', '--config', tmp_path / 'allotment.toml')
    assert done.returncode == 0, done.stderr
    assert '# GET /usages\n"placement:usages": ' in done.stdout
    judge = oslos[new]
    judge.load(text)
    wanted = judge.rules()
    # Upstream has no waitlist.
    own = [name for name in yaml.safe_load(done.stdout) if name.startswith('placement:waitlist:')]
    assert len(own) == 6
    assert set(yaml.safe_load(done.stdout)) == {*wanted, *own}
    judge.load(done.stdout)
    assert {name: rule for name, rule in judge.rules().items() if name not in own} == wanted


@pytest.mark.parametrize('arguments, code, words', [
    (['--role', 'admin'], 0, 'allowed by placement:usages'),
    (['--role', 'reader', '--project-id', 'p'], 0, 'allowed'),
    (['--role', 'reader', '--project-id', 'p', '--target', 'project_id=q'], 1, 'denied by placement:usages (rule:'),
    (['--role', 'reader'], 1, 'denied'),
    (['--role', 'admin', '--system-scope', 'all'], 1, 'not for tokens of System scope'),
    (['--role', 'admin', '--domain-id', 'd'], 1, 'not for tokens of Domain scope'),
    ([], 1, 'denied'),
])
def test_a_question_by_hand(arguments, code, words):
    done = run('check', '--rule', 'placement:usages', *arguments)
    assert (done.returncode, words in done.stdout) == (code, True), done.stdout + done.stderr


def test_unknown_rules_and_bad_files_are_wrong_usage(tmp_path):
    assert run('check', '--rule', 'placement:nothing').returncode == 2
    (tmp_path / 'policy.yaml').write_text('a: "@"\nb: "role"\n')
    done = run('check', '--rule', 'a', '--file', tmp_path / 'policy.yaml')
    assert done.returncode == 2
    assert 'policy.yaml:2: b: "role" is no check' in done.stderr
