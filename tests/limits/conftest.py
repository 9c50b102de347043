"""A service whose limits a test chooses, on a database of its own."""

import drivers
import pytest
import service as services


@pytest.fixture
def service(tmp_path, database):
    """Returns a function that starts a service with settings."""
    started = []

    def start(**tables):
        made = services.Service(tmp_path, next(drivers.PORTS), database, tables)
        started.append(made)
        made.ensure_started()
        return made

    yield start
    for made in started:
        made.stop()
