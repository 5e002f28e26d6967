"""The clusters of the modules here, and the table of what was seen."""

from collections.abc import AsyncIterator, Generator

import msgspec
import pytest
import pytest_asyncio

from tests.network.cluster import NetworkCluster
from tests.network.running import lab_cluster
from tests.network.runs import RUNS_SEEN, told
from tests.network.scenario import OUTCOMES, Outcome
from tests.support.lab import LAN, SAN

_SEEN: list[Outcome] = []
"""Outcomes of all tests; those that ran in other processes came with their reports."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fenced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with a fence device each."""
    async with lab_cluster(tmp_path_factory, fencing="device") as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two_paths(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with a fence device each, and two networks between all places."""
    async with lab_cluster(tmp_path_factory, fencing="device", networks=(LAN, SAN)) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lease_only(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with nothing but their leases."""
    async with lab_cluster(tmp_path_factory, fencing="lease-only") as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_folders(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """The same, and each host with a journal of its own."""
    async with lab_cluster(tmp_path_factory, fencing="lease-only", shared=False) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkCluster]:
    """Hosts with a watchdog each and no fence device; each with a journal of its own."""
    async with lab_cluster(tmp_path_factory, fencing="watchdog", shared=False) as cluster:
        yield cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Outcomes travel with the report of the test they belong to."""
    report = yield
    while OUTCOMES:
        report.user_properties.append(("outcome", msgspec.to_builtins(OUTCOMES.pop(0))))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect them where the table is printed."""
    _SEEN.extend(
        msgspec.convert(value, Outcome)
        for name, value in report.user_properties
        if name == "outcome" and report.when == "call"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per scenario: what the observer saw."""
    if _SEEN:
        terminalreporter.section("seen from outside (seconds since the fault)")
        for one in _SEEN:
            terminalreporter.line(str(one))
    if RUNS_SEEN:
        terminalreporter.section("random faults, as seen from outside")
        for line in told(RUNS_SEEN):
            terminalreporter.line(line)
