"""Every nats-server loses its disk while the ledger runs: nothing starts a second time."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from holdfast.failover_decider.buckets import FILE
from holdfast.wire import StatusReply
from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running
from tests.support.waiting import until

pytestmark = [pytest.mark.chaos]


def lose_every_stream(cluster: RunningCluster) -> None:
    """As if JetStream's folders were gone at all places at once."""
    for place in cluster.local.places.values():
        shutil.rmtree(place.state / "nats" / "jetstream")
    for name in cluster.local.places:
        cluster.send(name, "nats-server", signal.SIGKILL)


async def restart_decider(cluster: RunningCluster, place: str) -> None:
    old = cluster.send(place, "failover_decider", signal.SIGKILL)
    await cluster.restarted(place, "failover_decider", old)


async def led(cluster: RunningCluster) -> str:
    return (await cluster.status_where(lambda _: True, "a leader")).leader


async def test_streams_that_are_lost_start_nothing_until_an_operator_has_seen_to_it(
    tmp_path: Path,
) -> None:
    async with running(RunningCluster(tmp_path, profile="tolerant")) as cluster:
        before = await cluster.group()
        lose_every_stream(cluster)
        for place in cluster.local.places:
            await restart_decider(cluster, place)

        def said(status: StatusReply) -> bool:
            return "the bucket that this cluster has had since" in status.groups[0].reason

        held = await cluster.status_where(said, "the loss is said", timeout=120)
        assert held.groups[0].epoch == 0, "no record was read, and none was made"
        await asyncio.sleep(5.0)
        assert said(await cluster.status_where(lambda _: True, "a status"))

        memories = [p.state / "failover_decider" / FILE for p in cluster.local.places.values()]
        for memory in memories:
            memory.unlink()
        await until(lambda: any(one.exists() for one in memories), within=60, what="new buckets")
        last = await led(cluster)
        for place in sorted(cluster.local.places, key=lambda name: name == last):
            await restart_decider(cluster, place)
        after = await cluster.wait_active(timeout=120)
        assert after.epoch >= before.epoch
        if after.epoch == before.epoch:
            assert after.owner == before.owner, "it ran on, or else it starts at a higher epoch"
