"""An asynchronous volume without `max_lag`: what a failover would lose is an operator's word."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from holdfast.clock import wall_time
from holdfast.ledger.client import LedgerClient
from holdfast.wire import StatusReply
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.volume_cluster import VolumeCluster

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
PATIENCE = 60.0
"""Seconds until a member that stands still counts as lost: long after the primary's host is."""


async def test_the_primary_is_lost_while_its_copy_lags(tmp_path: Path) -> None:
    cluster = VolumeCluster(tmp_path, mode="async", member_timeout=PATIENCE)
    async with running(cluster):
        await cluster.in_sync("following")
        await switch_over(cluster)
        owner = await cluster.owner()
        other = next(host for host in HOSTS if host != owner)
        await cluster.lead_from("witness")
        await cluster.keep_streams_off(owner)
        os.kill(cluster.data_path(other), signal.SIGSTOP)
        try:
            began = await lose(cluster, owner, other)
        finally:
            os.kill(cluster.data_path(other), signal.SIGCONT)
        await cluster.status_where(lambda status: held(status, other), "nobody may take over")
        code, said = await cluster.command("start", "ledger", "--on", other)
        said = " ".join(said.split())
        assert (code, "bytes of" in said, "s may be lost" in said) == (1, True, True), said
        code, said = await cluster.command("start", "ledger", "--on", other, "--accept-loss")
        assert code == 0, said
        lost = await cluster.seen("volume_loss_accepted", since=began, node=other)
        assert "it lacked" in lost.data["loss"]
        assert "the last" in lost.data["loss"], "in seconds, too"
        await cluster.wait_active(on=other)
        back = wall_time()
        await cluster.local.place(owner).start()
        await cluster.seen("volume_set_changed", since=back, change="taken_in", member=owner)
        await cluster.in_sync("following")
        assert (await cluster.copies())[owner]["standing"] == "following"
        await cluster.audit()


async def switch_over(cluster: VolumeCluster) -> None:
    """In order, while the ledger is written: the other gets all before it is promoted."""
    source, began = await cluster.owner(), wall_time()
    target = next(host for host in HOSTS if host != source)
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        code, said = await cluster.command("switchover", "ledger", "--to", target)
        assert code == 0, said
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
    assert await cluster.owner() == target
    complete = await cluster.seen("volume_set_changed", since=began, change="taken_in")
    assert sorted(complete.data["in_sync"]) == sorted(HOSTS), "all was there before it moved"
    await cluster.in_sync("following")


async def lose(cluster: VolumeCluster, owner: str, other: str) -> str:
    """Write until the other lags, and the deciders know; then kill the primary's host."""
    client = LedgerClient([cluster.url])
    client.start()
    try:
        assert await asyncio.to_thread(client.wait_acknowledged, 20, 20), "it waits for nobody"
        await cluster.status_where(lambda status: lags(status, owner, other), f"{other} lags")
    finally:
        await asyncio.to_thread(client.finish)
    return await cluster.kill_host(owner)


def lags(status: StatusReply, owner: str, other: str) -> bool:
    """By bytes and a second at least, says the primary."""
    copies = {one.node: one.pulse for one in status.volumes}
    seen = next(member for member in copies[owner].members if member.node == other)
    return copies[other].standing == "following" and seen.lag_bytes > 0 and seen.lag_seconds > 1


def held(status: StatusReply, other: str) -> bool:
    """The other is alive, and may not run it."""
    alive = any(node.node == other and node.lease_valid for node in status.nodes)
    return alive and status.groups[0].phase == "held"
