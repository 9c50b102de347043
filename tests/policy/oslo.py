"""The decisions of oslo.policy with Placement's own default rules."""

import graphlib
import logging

from oslo_config import cfg
from oslo_policy import _checks, policy
from placement import policies


class Refused(Exception):
    """oslo.policy logs an error about the file, or fails on any question about a rule in it."""


class Logged(logging.Handler):
    """Notes that the parser found a rule wrong; oslo.policy only logs it."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


class Oslo:
    def __init__(self, directory, enforce_new_defaults):
        self.path = directory / f'policy-{enforce_new_defaults}.yaml'
        self.path.write_text('')
        conf = cfg.ConfigOpts()
        conf([], project='placement', default_config_files=[])
        self.enforcer = policy.Enforcer(conf, policy_file=str(self.path))
        self.enforcer.suppress_deprecation_warnings = True
        conf.set_override('enforce_new_defaults', enforce_new_defaults, group='oslo_policy')
        self.enforcer.register_defaults(policies.list_rules())
        # It only warns, and can take minutes over rules that build on each other.
        self.enforcer.check_rules = lambda: True
        self.logged = Logged()
        logger = logging.getLogger('oslo_policy')
        logger.addHandler(self.logged)
        # The many warnings of oslo.policy are of no interest here.
        logger.propagate = False

    def load(self, text):
        """Takes a policy file's text; raises Refused if anything is wrong with it."""
        self.path.write_text(text)
        self.logged.messages.clear()
        try:
            self.enforcer.load_rules(force_reload=True)
        except Exception as error:
            raise Refused(f'{type(error).__name__}: {error}') from None
        if self.logged.messages:
            raise Refused(self.logged.messages[0])
        try:
            graphlib.TopologicalSorter(
                {name: self._named_by(name) for name in self.enforcer.rules}).prepare()
        except graphlib.CycleError as error:
            raise Refused(str(error)) from None
        for check in self.enforcer.rules.values():
            for part in leaves(check):
                if not isinstance(part, _checks.RuleCheck):
                    self._ask(part)

    def _ask(self, check):
        """Ask a check once, since oslo.policy notices some faults only when a check is asked."""
        try:
            check(Anything(), {}, self.enforcer)
        except Exception as error:
            raise Refused(f'{check}: {type(error).__name__}: {error}') from None

    def _named_by(self, name):
        """The rules that a rule asks; "default" in place of those that do not exist."""
        rules = self.enforcer.rules
        return {part.match if part.match in rules else 'default'
                for part in leaves(rules[name]) if isinstance(part, _checks.RuleCheck)}

    def decide(self, rule, credentials, target):
        return bool(self.enforcer.enforce(rule, target, dict(credentials)))

    def rules(self):
        return {name: str(check) for name, check in self.enforcer.rules.items()}


class Anything(dict):
    """A target that has a value of every name."""

    def __missing__(self, name):
        return name


def leaves(check):
    """The checks that one is joined of."""
    if isinstance(check, _checks.NotCheck):
        yield from leaves(check.rule)
    elif isinstance(check, (_checks.AndCheck, _checks.OrCheck)):
        for part in check.rules:
            yield from leaves(part)
    else:
        yield check
