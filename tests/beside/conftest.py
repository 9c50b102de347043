"""Upstream Placement and the service on one database at the same time."""

import contextlib

import drivers
import pytest
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


@pytest.fixture
def with_triggers(tmp_path, database):
    """Ours with triggers, and upstream. The service compares nothing by itself, so that it has to be told."""
    ours = ours_on(tmp_path / 'ours', database, 'triggers', 3600)
    with running(upstream_on(tmp_path / 'upstream', database), ours) as (upstream, ours):
        yield ours, upstream


@pytest.fixture
def with_sweep(tmp_path, database):
    """Ours as it is without settings, but for the interval, and upstream."""
    ours = ours_on(tmp_path / 'ours', database, 'sweep', 1)
    with running(upstream_on(tmp_path / 'upstream', database), ours) as (upstream, ours):
        yield ours, upstream
