"""Kill the monitor or the hands at any step of a local recovery: it still completes there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import RunningCluster
from tests.support.kills import (
    RECOVERY_STEPS,
    RECOVERY_VICTIMS,
    assert_one_owner_at_a_time,
    recover_locally,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EVERY_TIME = {("recovery_started", "recovery"), ("health_signal", "monitor")}
CASES = [
    pytest.param(
        step,
        victim,
        marks=() if (step, victim) in EVERY_TIME else pytest.mark.chaos,
        id=f"{step}-{victim}",
    )
    for step in RECOVERY_STEPS
    for victim in RECOVERY_VICTIMS
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proven(cluster: RunningCluster) -> AsyncIterator[RunningCluster]:
    """The cluster; at the end, its record must prove everything that was done to it."""
    yield cluster
    await cluster.audit()
    assert_one_owner_at_a_time(cluster)


@pytest.mark.parametrize(("step", "victim"), CASES)
async def test_a_local_recovery_completes(proven: RunningCluster, step: str, victim: str) -> None:
    await recover_locally(proven, step, victim)
