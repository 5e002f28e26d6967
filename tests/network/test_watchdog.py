"""Hosts with a watchdog each and no fence device: it ends the owner, and its time is the proof.

Each host has a journal of its own: no lock keeps two owners apart, nor from being seen.
"""

import signal

import pytest

from holdfast.timing import PROFILES
from tests.network.cluster import NetworkCluster
from tests.network.scenario import Scene, scenario

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]
TIMING = PROFILES["standard"]
RESETS, GONE = "resets boot", "every process of it is gone"
STALL = 5.0


async def taken_over(scene: Scene, cluster: NetworkCluster) -> None:
    """By the majority, which has the armed watchdog for its proof."""
    await scene.moved()
    revoked = await cluster.seen("lease_revoked", since=scene.began, node=scene.owner)
    assert revoked.data["proof"] == "watchdog_expired"


async def test_isolated_owner_whose_hands_hang_is_killed_and_its_group_moves(
    watched: NetworkCluster,
) -> None:
    """Nothing on the host would stop the group: what ends it is its watchdog alone."""
    owner = await watched.owner()
    await watched.keep_streams_off(owner)
    async with scenario(watched, "owner isolated, its hands hang, watchdog", expect=1) as scene:
        watched.send(owner, "recovery", signal.SIGSTOP)
        watched.lab.isolate(owner)
        await taken_over(scene, watched)
        assert GONE in watched.dogs.said(owner)
    assert scene.stopped_after() < TIMING.ttl
    after = [span for span in scene.answering if span.host == scene.other]
    assert after[0].began - scene.faulted > TIMING.ttl - TIMING.renew_every


async def test_frozen_owner_is_killed_before_it_wakes(watched: NetworkCluster) -> None:
    owner = await watched.owner()
    await watched.keep_streams_off(owner)
    async with scenario(watched, "owner frozen, watchdog", expect=1) as scene:
        watched.freeze(owner)
        await taken_over(scene, watched)
        assert GONE in watched.dogs.said(owner)
        watched.thaw(owner)


async def test_isolated_owner_stops_and_disarms_and_its_group_moves(
    watched: NetworkCluster,
) -> None:
    owner = await watched.owner()
    await watched.keep_streams_off(owner)
    resets = watched.dogs.said(owner).count(RESETS)
    async with scenario(watched, "owner isolated, watchdog", expect=1) as scene:
        watched.lab.isolate(owner)
        await taken_over(scene, watched)
    assert scene.stopped_after() < TIMING.ttl - TIMING.margin
    assert watched.dogs.said(owner).count(RESETS) == resets, "it had stopped everything in time"


async def test_stall_shorter_than_the_watchdog_resets_nothing(watched: NetworkCluster) -> None:
    owner = await watched.owner()
    resets = watched.dogs.said(owner).count(RESETS)
    async with scenario(watched, f"owner stalls {STALL:.0f} s, watchdog", expect=0) as scene:
        watched.freeze(owner)
        await scene.last(STALL)
        watched.thaw(owner)
        await scene.last(TIMING.ttl)
    assert watched.dogs.said(owner).count(RESETS) == resets
