"""Starts upstream Placement and the service on one database."""

import contextlib

import drivers
import service as services


@contextlib.contextmanager
def running(*servers):
    try:
        for server in servers:
            server.ensure_started()
        yield servers
    finally:
        for server in servers:
            server.stop()


def upstream_on(directory, database):
    directory.mkdir(exist_ok=True)
    server = drivers.UpstreamServer(directory, next(drivers.PORTS), database)
    # As ours by default: admins may reshape.
    server.configure('oslo_policy', enforce_new_defaults=False)
    return server


def ours_on(directory, database, foreign_writers, recheck_seconds):
    directory.mkdir(exist_ok=True)
    return services.Service(directory, next(drivers.PORTS), database, {
        'database': {'foreign_writers': foreign_writers}, 'placement': {'recheck_seconds': recheck_seconds}})
