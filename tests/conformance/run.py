"""Run upstream Placement's gabbi suite over HTTP against a live server."""

import argparse
import contextlib
import fnmatch
import importlib.resources
import json
import multiprocessing
import os
import pathlib
import re
import signal
import sys
import tempfile
import time
from multiprocessing import connection

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))

import databases
import drivers
import notyet
import onefile
import replicated  # noqa: F401 (a driver)
import upgrading  # noqa: F401 (drivers)


class Job:
    """One YAML file, run in a process of its own."""

    # Forked, so that the slow imports happen once.
    context = multiprocessing.get_context('fork')

    def __init__(self, path, args, port):
        self.path = path
        self.workdir = args.out / path.stem
        self.workdir.mkdir(parents=True, exist_ok=True)
        for stale in self.workdir.iterdir():
            if stale.is_file():
                stale.unlink()
        self.started = time.monotonic()
        self.deadline = self.started + args.timeout
        self.process = self.context.Process(
            target=self.work, args=(args, port))
        self.process.start()

    def work(self, args, port):
        os.setsid()
        log = os.open(self.workdir / 'runner.log', os.O_CREAT | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # No proxy may come between the tests and the server.
        os.environ['NO_PROXY'] = os.environ['no_proxy'] = '127.0.0.1'
        name = 'gabbi_' + re.sub(r'\W', '_', self.path.stem)
        # The ports that the parent gives out next would be those of its other forks too.
        drivers.PORTS = drivers.free_ports()
        database = databases.KINDS[args.database](name, self.workdir)
        database.create()
        try:
            server = drivers.DRIVERS[args.driver](self.workdir, port, database)
            report = onefile.run(self.path, server)
        finally:
            if args.database != 'sqlite':
                database.drop()
        (self.workdir / 'result.json').write_text(
            json.dumps(report, default=str))

    def kill(self):
        """End the process and the server it started: its whole session."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def report(self):
        self.process.join()
        try:
            report = json.loads((self.workdir / 'result.json').read_text())
        except FileNotFoundError:
            log = (self.workdir / 'runner.log').read_text(errors='replace')
            report = {'passed': [], 'skipped': [], 'failed': [{
                'name': '(the whole file)', 'message': 'no result, exit code '
                f'{self.process.exitcode}\n{log}'}]}
        report['file'] = self.path.name
        report['seconds'] = round(time.monotonic() - self.started, 2)
        if report['failed']:
            (self.workdir / 'failures.txt').write_text(
                '\n'.join(details(f) for f in report['failed']))
        return report


def run_all(files, args):
    """Run the files, some at a time; yields their reports as they end."""
    waiting = list(files)
    ports = drivers.free_ports()
    running = {}
    try:
        while waiting or running:
            while waiting and len(running) < args.jobs:
                job = Job(waiting.pop(0), args, next(ports))
                running[job.process.sentinel] = job
            for sentinel in connection.wait(list(running), timeout=1):
                yield running.pop(sentinel).report()
            for job in running.values():
                if time.monotonic() > job.deadline:
                    job.kill()
    finally:
        for job in running.values():
            job.kill()


def details(failure):
    lines = ['=' * 78, failure['name'], '-' * 78, failure['message']]
    exchange = failure.get('exchange')
    if exchange:
        request = exchange['request']
        lines += ['', f'> {request["method"]} {request["url"]}']
        lines += [f'> {k}: {v}' for k, v in request['headers'].items()]
        lines += ['>', '> ' + request['body']]
        response = exchange.get('response')
        if response:
            lines += [f'< {k}: {v}' for k, v in response['headers'].items()]
            lines += ['<', '< ' + response['body']]
    if failure.get('expected'):
        lines += ['', 'expected: ' + json.dumps(failure['expected'], indent=1)]
    return '\n'.join(lines) + '\n'


def show(report):
    counts = [len(report[key])
              for key in ('passed', 'failed', 'skipped', 'not yet')]
    print('{:<48} {:>3} passed {:>3} failed {:>3} skipped {:>3} not yet '
          '{:>6.1f}s'.format(report['file'], *counts, report['seconds']),
          flush=True)
    for failure in report['failed']:
        line = failure['message'].strip().split('\n')[0][:160]
        if line.startswith('setting up failed'):
            print(f'    {line}')
            break
        print(f'    {failure["name"]}: {line}')


def all_files():
    directory = importlib.resources.files(
        'placement.tests.functional') / 'gabbits'
    return sorted(p for p in directory.iterdir() if p.suffix == '.yaml')


def select_files(patterns):
    files = all_files()
    if patterns:
        files = [f for f in files if any(
            fnmatch.fnmatch(f.name, p) or fnmatch.fnmatch(f.stem, p)
            for p in patterns)]
    return files


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--driver', choices=drivers.DRIVERS, required=True)
    parser.add_argument('--only', metavar='GLOB', action='append',
                        help='run the YAML files of these names; '
                             'may be repeated, ".yaml" may be left out')
    parser.add_argument('--jobs', type=int, default=2,
                        help='files to run at the same time')
    parser.add_argument('--timeout', type=int, default=300,
                        help='seconds after which a file is given up')
    parser.add_argument('--json', type=pathlib.Path,
                        help='write all results to this file')
    parser.add_argument('--out', type=pathlib.Path,
                        help='directory for logs and details of failures')
    parser.add_argument('--database', choices=databases.KINDS,
                        default='sqlite',
                        help='where each file gets a database of its own')
    parser.add_argument('--not-yet', type=pathlib.Path, metavar='LIST',
                        help='names what is not yet expected to pass')
    args = parser.parse_args()
    args.out = (args.out or pathlib.Path(
        tempfile.mkdtemp(prefix='conformance-'))).resolve()
    return args


def main():
    args = parse_args()
    files = select_files(args.only)
    if not files:
        sys.exit('no YAML file matches')
    expectations = notyet.load(args.not_yet)
    unknown = expectations.names() - {path.name for path in all_files()}
    if unknown:
        sys.exit(f'{args.not_yet}: no such files: {sorted(unknown)}')
    # As an exception, so that no server outlives this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    reports = []
    with contextlib.closing(run_all(files, args)) as finished:
        for report in finished:
            expectations.apply(report)
            show(report)
            reports.append(report)
    if args.json:
        reports.sort(key=lambda report: report['file'])
        args.json.write_text(json.dumps(reports, indent=1))
    passed, failed, skipped, awaited = (
        sum(len(report[key]) for report in reports)
        for key in ('passed', 'failed', 'skipped', 'not yet'))
    print(f'details in {args.out}, {time.monotonic() - started:.0f}s; '
          f'{awaited} failed as they are expected to for now')
    print(f'{passed} passed, {failed} failed, {skipped + awaited} skipped')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
