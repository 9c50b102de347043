"""Waiting for what must come."""

import time

# How long it may be in coming; far more than it should take.
PATIENCE = 120


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f'never: {what}'
        time.sleep(0.1)
