"""A host is lost while it owns and leads everything; another one only stalls."""

import asyncio
import os
import signal

import pytest

from holdfast.clock import wall_time
from holdfast.fence_host.processes import living_members
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.follower import event

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.chaos]

STALL = 3.0
"""Seconds: long enough to be suspected and looked at, on a busy machine, too; the lease lasts."""


async def test_the_host_that_leads_everything_is_lost(cluster: RunningCluster) -> None:
    lost = await cluster.owner()
    survivor = next(host for host in HOSTS if host != lost)
    await cluster.lead_from(lost)
    await cluster.keep_streams_off(lost)
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        began = await cluster.kill_host(lost)
        moved = await cluster.seen("move_completed", since=began, kind="failover", node=survivor)
        verified = await cluster.seen("group_verified", since=began, node=survivor)
        assert verified.data["epoch"] == moved.data["epoch"] == before + 1
        await cluster.wait_active(on=survivor)
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 10)
    await cluster.local.place(lost).start()
    await cluster.healthy()
    assert await cluster.owner() == survivor
    await cluster.audit()


async def test_a_host_that_only_stalls_is_left_alone(cluster: RunningCluster) -> None:
    owner, before, pid = await cluster.owner(), await cluster.group(), await cluster.workload()
    await cluster.lead_from("witness")
    await cluster.keep_streams_off(owner)
    session = int(cluster.local.place(owner).record()["session"])
    host = [process.pid for process in living_members(session)]
    began = wall_time()
    try:
        for pid_there in host:
            os.kill(pid_there, signal.SIGSTOP)
        await asyncio.sleep(STALL)
    finally:
        for pid_there in host:
            os.kill(pid_there, signal.SIGCONT)
    await cluster.seen("node_suspected", since=began, node=owner)
    looked = await cluster.seen("fence_finished", since=began, node=owner)
    assert (looked.data["action"], looked.data["outcome"]) == ("status", "on")
    await cluster.seen("node_cleared", since=began, node=owner)
    await cluster.healthy()
    assert await cluster.group() == before
    assert await cluster.workload() == pid
    acted = event("decision_made", "resource_stopped", "resource_started", "lease_lost")
    assert not [str(seen) for seen in cluster.follower.since(began) if acted(seen)]
