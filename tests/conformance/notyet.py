"""The list of what is not yet expected to pass.

A line is `FILE.yaml` or `FILE.yaml: name of a test`; `#` starts a comment.
If a line names a whole file, at least one test of the file must fail. If a
line names a test, this test must fail. A test that passes nevertheless counts
as a failure, so that the list stays up to date.
"""


class Expectations:
    def __init__(self, files, tests):
        self.files = files
        self.tests = tests

    def names(self):
        """The YAML files that the list speaks of."""
        return self.files | set(self.tests)

    def apply(self, report):
        """Move expected failures from `failed` to `not yet`, in a report."""
        name = report['file']
        report['not yet'] = []
        if name in self.files:
            if report['failed']:
                report['not yet'], report['failed'] = report['failed'], []
            else:
                report['failed'].append(passed_anyway(name))
            return
        awaited = self.tests.get(name, set())
        for failure in list(report['failed']):
            if failure['name'] in awaited:
                report['failed'].remove(failure)
                report['not yet'].append(failure)
        for test in sorted(awaited - {f['name'] for f in report['not yet']}):
            report['failed'].append(passed_anyway(test))


def passed_anyway(name):
    return {'name': name,
            'message': 'passes, though the list says that it does not yet'}


def load(path):
    files, tests = set(), {}
    lines = path.read_text().splitlines() if path else []
    for line in lines:
        line = line.partition('#')[0].strip()
        name, colon, test = line.partition(':')
        if colon:
            tests.setdefault(name, set()).add(test.strip())
        elif name:
            files.add(name)
    return Expectations(files, tests)
