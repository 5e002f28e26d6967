"""Fixtures for all tests."""

pytest_plugins = [
    "tests.support.nats",
    "tests.support.buses",
    "tests.support.collector",
    "tests.support.cluster_fixture",
]
