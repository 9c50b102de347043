"""Random policy files, credentials and targets."""

import json

import yaml
from placement import policies

DEFAULTS = [rule.name for rule in policies.list_rules()]
OWN = ['mine', 'yours', 'default', 'owner', 'rule:admin_api']
MISSING = ['nowhere', 'placement:nothing']
ROLES = ['admin', 'Admin', 'service', 'reader', 'member', 'ÄRZTIN', 'ärztin']
IDS = ['p1', 'p2', 'u1', 'None', 'True', '7', 'all', '']
ATTRIBUTES = ['user_id', 'project_id', 'domain_id', 'system_scope', 'system', 'is_admin', 'user_domain_id',
              'roles', 'age', 'user.domain.id', 'teams.name', 'labels', 'no.such', 'unheard-of']
LITERALS = ["'p1'", '"p1"', "'x y'", 'True', 'False', 'None', '7', '-3', '0', "''", '"it"']
TARGETS = ['project_id', 'user_id', 'a.b', 'flag', 'number', 'absent', 'target name']
# Parts that do not belong into a rule; most of them make the rule unreadable.
RUBBISH = ['(', ')', 'and', 'or', 'not', 'role', "'text'", "'a':'b'", '"', 'x:%(y', ':x', '1x:y',
           '007:7', '%', 'rule', '((', '@:', 'a[:b', "'x:y", '!x']


class Draw:
    def __init__(self, random):
        self.random = random

    def questions(self, number):
        """A policy file's text, and what it is asked: several questions about at least as many rules."""
        names = self.random.sample(DEFAULTS + OWN, number + self.random.randrange(3))
        rules = {name: self.rule() for name in names}
        file = {'policy': self.file(rules), 'enforce_new_defaults': self.random.random() < 0.5}
        return [{
            **file,
            'rule': self.random.choice([*(names * 3), *MISSING, self.random.choice(DEFAULTS),
                                        'placement:usages', 'placement:reshaper:reshape']),
            'credentials': self.credentials(),
            'target': self.target(),
        } for _ in range(number)]

    def file(self, rules):
        form = self.random.choice([yaml.safe_dump, json.dumps, self.indented])
        return form(rules)

    @staticmethod
    def indented(rules):
        return '# A policy\n---\n' + yaml.safe_dump(
            rules, default_style=None, width=20, default_flow_style=False, allow_unicode=True)

    def rule(self):
        kind = self.random.random()
        if kind < 0.1:
            return [self.random.choice([self.check(), [self.check() for _ in range(self.random.randrange(3))]])
                    for _ in range(self.random.randrange(4))]
        if kind < 0.13:
            return self.random.choice(['', '@', '!', ' ', '()', []])
        words = self.expression(3)
        if kind > 0.97:
            words = self.spoil(words)
        return self.joined(words)

    def expression(self, depth):
        """Words of a valid expression."""
        kind = self.random.random()
        if depth == 0 or kind < 0.35:
            return [self.check()]
        if kind < 0.5:
            return [self.word('not'), *self.closed(depth - 1)]
        if kind < 0.65:
            return ['(', *self.expression(depth - 1), ')']
        words = self.expression(depth - 1)
        for _ in range(self.random.randint(1, 2)):
            words += [self.word(self.random.choice(['and', 'or'])), *self.expression(depth - 1)]
        return words

    def closed(self, depth):
        return self.random.choice([[self.check()], ['(', *self.expression(depth), ')']])

    def word(self, word):
        return self.random.choice([word, word, word.upper(), word.title()])

    def check(self):
        kind = self.random.random()
        if kind < 0.3:
            return f'role:{self.random.choice([*ROLES, self.template()])}'
        if kind < 0.5:
            return f'rule:{self.random.choice(DEFAULTS[:5] * 2 + OWN + MISSING)}'
        if kind < 0.58:
            return self.random.choice('@!')
        left = self.random.choice([self.random.choice(ATTRIBUTES), self.random.choice(LITERALS)])
        # A blank would end the word.
        return f'{left.replace(" ", "")}:{self.template()}'

    def template(self):
        value = f'%({self.random.choice(TARGETS).replace(" ", "")})s'
        return self.random.choice([value, value, self.random.choice(IDS), self.random.choice(ROLES),
                                   f'p{value}', f'{value}%%{value}', f'%%{value}x'])

    def spoil(self, words):
        words = list(words)
        for _ in range(self.random.randint(1, 2)):
            place = self.random.randrange(len(words) + 1)
            if words and self.random.random() < 0.4:
                del words[min(place, len(words) - 1)]
            else:
                words.insert(place, self.random.choice(RUBBISH))
        return words

    def joined(self, words):
        text = ''
        for word in words:
            tight = word == ')' or text.endswith('(') or not text
            if not tight or self.random.random() < 0.2:
                text += self.random.choice([' ', ' ', '  ', '\n', '\t'])
            text += word
        return text

    def credentials(self):
        choose = self.random.choice
        drawn = {
            'user_id': choose(['u1', 'u2', 'p1']),
            'project_id': choose(['p1', 'p2', None]),
            'roles': self.random.sample(ROLES, self.random.randrange(4)),
            'domain_id': choose([None] * 8 + ['d1', '']),
            'system_scope': choose([None] * 8 + ['all', '']),
            'is_admin': choose([True, False]),
            'user_domain_id': choose(['d1', None]),
            'age': choose([7, -3, 0, 10 ** 12]),
            'user': {'domain': {'id': choose(['p1', 'd1'])}},
            'teams': [{'name': choose(['p1', 'p2'])}, {'name': 'u1'}, {'other': 'p1'}],
            'labels': [choose(IDS), 7, None, True],
        }
        return {name: value for name, value in drawn.items()
                if name in ('user_id', 'user', 'teams') or self.random.random() < 0.9}

    def target(self):
        drawn = {
            'project_id': self.random.choice(['p1', 'p2', None]),
            'user_id': self.random.choice(['u1', 'u2']),
            'a.b': self.random.choice(IDS),
            'flag': self.random.choice([True, False]),
            'number': self.random.choice([7, -3, 0]),
            'targetname': self.random.choice(ROLES),
        }
        return {name: value for name, value in drawn.items() if self.random.random() < 0.9}
