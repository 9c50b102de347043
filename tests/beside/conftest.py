"""Upstream Placement and the service on one database at the same time."""

import pytest
from pair import ours_on, running, upstream_on


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
