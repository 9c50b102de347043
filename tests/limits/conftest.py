"""A service whose limits a test chooses, on a database of its own."""

import drivers
import pytest
import service as services


@pytest.fixture
def service(tmp_path, database):
    """Returns a function that starts a service with settings; a second one is a replica."""
    started = []

    def start(**tables):
        directory = tmp_path / f'replica{len(started)}' if started else tmp_path
        directory.mkdir(exist_ok=True)
        made = services.Service(directory, next(drivers.PORTS), database, tables)
        started.append(made)
        made.ensure_started()
        return made

    yield start
    for made in started:
        made.stop()
