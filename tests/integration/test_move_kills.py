"""Kill any one process at any step of a switchover, a stop, a start or a relocation.

Every step and every victim are enumerated. The whole list is marked `chaos`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running
from tests.support.kills import assert_one_owner_at_a_time
from tests.support.kills_in_moves import MOVES, killed_in

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
    pytest.mark.chaos,
]

BY_OPERATOR = [
    pytest.param(name, case, id=f"{name}-{'-'.join(case)}")
    for name in ("switchover", "stop", "start")
    for case in MOVES[name].cases()
]
BY_FAILURE = [pytest.param(case, id="-".join(case)) for case in MOVES["relocation"].cases()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proven(cluster: RunningCluster) -> AsyncIterator[RunningCluster]:
    """The cluster; at the end, its record must prove everything that was done to it."""
    yield cluster
    await cluster.audit()
    assert_one_owner_at_a_time(cluster)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fragile(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCluster]:
    """One in which nothing is recovered where it failed."""
    async with running(RunningCluster(tmp_path_factory.mktemp("fragile"), attempts=0)) as started:
        yield started
        await started.audit()
        assert_one_owner_at_a_time(started)


@pytest.mark.parametrize(("name", "case"), BY_OPERATOR)
async def test_an_operators_move_ends(
    proven: RunningCluster, name: str, case: tuple[str, str, str]
) -> None:
    await killed_in(MOVES[name], proven, case)


@pytest.mark.parametrize("case", BY_FAILURE)
async def test_a_relocation_ends(fragile: RunningCluster, case: tuple[str, str, str]) -> None:
    await killed_in(MOVES["relocation"], fragile, case)
