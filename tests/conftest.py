"""Fixtures for all tests."""

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.support.nats",
    "tests.support.buses",
    "tests.support.collector",
    "tests.support.cluster_fixture",
    "tests.support.volume_pair",
]

# How long an example takes says nothing: the machine may be busy with something else.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")

LONG = (
    "test_docs.py",
    "test_seeds_1.py",
    "test_up.py",
    "test_seeds_2.py",
    "test_seeds_3.py",
    "test_adoption.py",
    "test_seeds_4.py",
    "test_failover_kills.py",
    "test_bad_input.py",
    "test_recovery.py",
    "test_volumes.py",
    "test_trace_of_a_failover.py",
    "test_lease_model.py",
)
"""Files that take longest, in the order in which they are handed out to workers: those that compute
among those that wait, and none of them last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; the others stay in their order."""
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))
