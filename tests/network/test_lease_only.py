"""Faults between hosts that have no fence device: only their leases keep two owners apart."""

import pytest

from holdfast.timing import PROFILES
from tests.network.cluster import NetworkCluster
from tests.network.scenario import scenario

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]
TIMING = PROFILES["standard"]
LONG_STALL = 9.0


async def test_isolated_owner_stops_before_its_lease_ends_and_the_group_moves(
    lease_only: NetworkCluster,
) -> None:
    async with scenario(lease_only, "owner isolated, lease-only", expect=1) as scene:
        lease_only.lab.isolate(scene.owner)
        await scene.moved()
        await lease_only.seen(
            "lease_revoked", since=scene.began, node=scene.owner, proof="lease_expired"
        )
    assert scene.stopped_after() < TIMING.ttl - TIMING.margin


async def test_owner_that_stalls_past_its_lease_never_serves_beside_the_next(
    lease_only: NetworkCluster,
) -> None:
    name = f"owner stalls {LONG_STALL:.0f} s, lease-only"
    async with scenario(lease_only, name, expect=range(2)) as scene:
        lease_only.freeze(scene.owner)
        await scene.last(LONG_STALL)
        lease_only.thaw(scene.owner)
