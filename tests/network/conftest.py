"""The lab and the clusters in it, and the table of what was seen."""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from tests.network.cluster import PLACES, NetworkCluster
from tests.network.lab import LAN, SAN, Lab, inside, unusable
from tests.network.scenario import OUTCOMES
from tests.support.cluster_fixture import running


@contextlib.asynccontextmanager
async def _cluster(
    factory: pytest.TempPathFactory,
    *,
    fenced: bool,
    shared: bool = True,
    networks: Sequence[str] = (LAN,),
) -> AsyncIterator[NetworkCluster]:
    if reason := unusable():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = factory.mktemp("lab")
    # The test itself is the observer: whatever it opens is opened there.
    with Lab.make(PLACES, networks) as lab, inside(lab.observer):
        made = NetworkCluster(folder, lab, fenced=fenced, shared=shared)
        async with running(made):
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fenced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with a fence device each."""
    async with _cluster(tmp_path_factory, fenced=True) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two_paths(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with a fence device each, and two networks between all places."""
    async with _cluster(tmp_path_factory, fenced=True, networks=(LAN, SAN)) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lease_only(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with nothing but their leases."""
    async with _cluster(tmp_path_factory, fenced=False) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_folders(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """The same, and each host with a journal of its own."""
    async with _cluster(tmp_path_factory, fenced=False, shared=False) as cluster:
        yield cluster


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per scenario: what the observer saw."""
    if not OUTCOMES:
        return
    terminalreporter.section("seen from outside (seconds since the fault)")
    for one in OUTCOMES:
        terminalreporter.line(
            f"{one.name}: moves {one.moves} (expected {one.expected}), overlaps {one.overlaps}, "
            f"longest outage {one.longest_outage:.1f} s; {one.owners}"
            + (f"; {one.note}" if one.note else "")
        )
