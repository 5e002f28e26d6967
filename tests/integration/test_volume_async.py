"""An asynchronous volume: what a failover loses is an operator's word, or within `max_lag`."""

import asyncio
import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.client import LedgerClient
from holdfast.wire import StatusReply
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.nbd_client import Client
from tests.support.volume_cluster import VOLUME, VolumeCluster
from tests.support.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
PATIENCE = 60.0
"""Seconds until a member that stands still counts as lost: long after the primary's host is."""
MAX_LAG = '{ bytes = "4MiB", seconds = 30.0 }'
WORTH_SEEING = 128 << 10
OLD = 3.0
"""Seconds that a pulse may be old when it is looked at."""
BLOCK = 4096
START, BLOCKS = 32 << 20, 4096


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


async def test_a_failover_within_max_lag_loses_no_more_than_was_reported(tmp_path: Path) -> None:
    """Nobody is asked. What is lost is what the copy, which stands still, never got."""
    cluster = VolumeCluster(tmp_path, mode="async", member_timeout=PATIENCE, max_lag=MAX_LAG)
    async with running(cluster):
        await cluster.in_sync("following")
        owner = await cluster.owner()
        other = next(host for host in HOSTS if host != owner)
        await cluster.lead_from("witness")
        await cluster.keep_streams_off(owner)
        load = Load(cluster.socket(owner))
        load.start()
        await until(lambda: load.acknowledged > 0, within=20, what="the load is written")
        still = cluster.data_path(other)
        os.kill(still, signal.SIGSTOP)

        def lacks(status: StatusReply) -> bool:
            return lag(status, owner, other) >= WORTH_SEEING

        last = await cluster.status_where(lacks, f"{other} lags")
        reported, told = lag(last, owner, other), monotonic()
        began = await cluster.kill_host(owner)
        os.kill(still, signal.SIGKILL)  # with what had come and was not read
        await asyncio.to_thread(load.join, 20)
        moved = await cluster.seen("volume_loss_accepted", since=began, node=other, timeout=60)
        assert moved.data["loss"] == "it follows, within 4MiB and 30 s"
        await cluster.wait_active(on=other)
        lost = await asyncio.to_thread(load.lost, cluster.socket(other))
        since = load.acknowledged_since(told - OLD) * BLOCK
        assert 0 < lost <= reported + since, f"{reported} bytes reported, {since} written since"
        assert lost <= 4 << 20
        await cluster.local.place(owner).start()
        await cluster.in_sync("following")
        await cluster.audit()


class Load(threading.Thread):
    """Writes one numbered block after another, where the ledger does not, until nobody answers."""

    def __init__(self, socket: Path) -> None:
        super().__init__(daemon=True)
        self._socket = socket
        self._times: list[float] = []

    @property
    def acknowledged(self) -> int:
        """Blocks."""
        return len(self._times)

    def acknowledged_since(self, time: float) -> int:
        """Blocks, from that point in time on."""
        return sum(one >= time for one in self._times)

    def run(self) -> None:
        """At some hundred KiB a second."""
        pause = threading.Event()
        client = Client(self._socket, export=VOLUME.encode())
        with contextlib.suppress(OSError, EOFError), client:
            for number in range(BLOCKS):
                assert client.write(*self._block(number)) == 0
                self._times.append(monotonic())
                pause.wait(0.02)

    def lost(self, socket: Path) -> int:
        """Bytes that were acknowledged and are not there."""
        with Client(socket, export=VOLUME.encode()) as client:
            wanted = [self._block(number) for number in range(self.acknowledged)]
            return sum(BLOCK for at, data in wanted if client.read(at, BLOCK) != data)

    def _block(self, number: int) -> tuple[int, bytes]:
        return START + number * BLOCK, b"block %10d" % number * (BLOCK // 16)


def lag(status: StatusReply, owner: str, other: str) -> int:
    """Bytes that the other lacks, says the primary; 0 if it does not follow."""
    copies = {one.node: one.pulse for one in status.volumes}
    seen = (member for member in copies[owner].members if member.node == other)
    return sum(one.lag_bytes for one in seen if copies[other].standing == "following")


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
