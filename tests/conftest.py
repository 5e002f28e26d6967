"""Fixtures for all tests."""

from hypothesis import settings

pytest_plugins = [
    "tests.support.nats",
    "tests.support.buses",
    "tests.support.collector",
    "tests.support.cluster_fixture",
]

# How long an example takes says nothing: the machine may be busy with something else.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")
