"""Kill any one process at any step of a failover: it still completes.

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
    assert_one_owner_at_a_time,
    fail_over,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EVERY_TIME = {
    ("fence_started", "witness", "nats-server"),
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
