"""Fixture `cluster`; a failed test that used one shows its events and logs. A pytest plugin."""

import contextlib
from collections.abc import AsyncIterator, Generator
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.support.cluster import RunningCluster

Cluster = TypeVar("Cluster", bound=RunningCluster)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCluster]:
    """One cluster for all tests of a module; each leaves it healthy."""
    async with running(RunningCluster(tmp_path_factory.mktemp("cluster"))) as started:
        yield started


@contextlib.asynccontextmanager
async def running(made: Cluster) -> AsyncIterator[Cluster]:
    """Started, and stopped whatever happens."""
    try:
        await made.start()
        yield made
    except BaseException as error:
        for title, text in made.story():
            error.add_note(f"--- {title}\n{text}")
        raise
    finally:
        await made.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the cluster said beside the failure of a test that used one."""
    report = yield
    used = getattr(item, "funcargs", {}).values()
    if report.failed and report.when == "call":
        for each in used:
            if isinstance(each, RunningCluster):
                report.sections += each.story()
    return report
