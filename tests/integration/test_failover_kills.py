"""Kill any one process at any step of a failover or a local recovery: it still completes.

Every step and every victim are enumerated. The whole list is marked `chaos`; a few of the cases
that once were hardest run every time.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import RunningCluster
from tests.support.kills import (
    FAILOVER_STEPS,
    FAILOVER_VICTIMS,
    RECOVERY_STEPS,
    RECOVERY_VICTIMS,
    assert_one_owner_at_a_time,
    fail_over,
    recover_locally,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

RECOVERY_EVERY_TIME = {("recovery_started", "recovery"), ("health_signal", "monitor")}
EVERY_TIME = {
    ("fencing", "survivor", "failover_decider"),
    ("volume_activated", "survivor", "storage_replication"),
    ("order_accepted", "survivor", "recovery"),
}
CASES = [
    pytest.param(
        step,
        where,
        victim,
        marks=() if (step, where, victim) in EVERY_TIME else pytest.mark.chaos,
        id=f"{step}-{where}-{victim}",
    )
    for step in FAILOVER_STEPS
    for where, victim in FAILOVER_VICTIMS
]
RECOVERY_CASES = [
    pytest.param(
        step,
        victim,
        marks=() if (step, victim) in RECOVERY_EVERY_TIME else pytest.mark.chaos,
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


@pytest.mark.parametrize(("step", "where", "victim"), CASES)
async def test_a_failover_completes(
    proven: RunningCluster, step: str, where: str, victim: str
) -> None:
    await fail_over(proven, step, where, victim)


@pytest.mark.parametrize(("step", "victim"), RECOVERY_CASES)
async def test_a_local_recovery_completes(proven: RunningCluster, step: str, victim: str) -> None:
    await recover_locally(proven, step, victim)
