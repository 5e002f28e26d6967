"""The ledger on a synchronous replicated volume whose hosts are apart."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.ledger.client import LedgerClient
from holdfast.wire import StatusReply
from tests.network.running import lab_cluster
from tests.network.scenario import SETTLE, WRITES, Scene, scenario
from tests.network.test_two_paths import nothing_happened
from tests.network.volume import REPLICATION, NetworkVolumeCluster
from tests.support.lab import LAN, SAN
from tests.support.nbd_client import Client
from tests.support.volume_cluster import VOLUME

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]
BLOCK = 4096
PATIENCE = 3.0
"""Seconds of a client whose request must not be answered."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[NetworkVolumeCluster]:
    """Lease-only: nothing but leases and epochs keeps an old owner from writing."""
    async with lab_cluster(
        tmp_path_factory, fencing="lease-only", networks=(LAN, SAN), kind=NetworkVolumeCluster
    ) as made:
        assert isinstance(made, NetworkVolumeCluster)
        yield made


async def both_in_sync(scene: Scene, cluster: NetworkVolumeCluster, member: str) -> None:
    """The member was taken in again after the fault, and says so."""
    await cluster.seen(
        "volume_set_changed", since=scene.began, change="taken_in", member=member, timeout=SETTLE
    )
    await cluster.in_sync()


def ask(cluster: NetworkVolumeCluster, host: str, deadline: float = PATIENCE) -> bytes:
    """A client of the volume on that host."""
    with Client(cluster.socket(host), export=VOLUME.encode(), deadline=deadline) as client:
        return client.read(0, BLOCK)


async def test_isolated_owner_acknowledges_nothing_and_loses_nothing(
    cluster: NetworkVolumeCluster,
) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    await cluster.keep_streams_off(owner)
    stale = LedgerClient([cluster.urls[owner]])
    stale.start()
    try:
        async with scenario(cluster, "owner of a volume isolated, lease-only", expect=1) as scene:
            cluster.lab.isolate(owner)
            before = stale.acknowledged
            promoted = await cluster.seen(
                "volume_set_changed", since=scene.began, change="promoted", timeout=SETTLE
            )
            assert promoted.data["node"] == scene.other
            assert promoted.data["in_sync"] == [scene.other]
            await scene.moved()
            with pytest.raises((OSError, EOFError)):
                ask(cluster, owner)
            assert len(ask(cluster, scene.other, SETTLE)) == BLOCK
            scene.note = f"the old owner acknowledged {stale.acknowledged - before} after the cut"
        await both_in_sync(scene, cluster, owner)
    finally:
        await asyncio.to_thread(stale.finish)
    # A write is on both or is not acknowledged, so the cut itself ends it: but for an answer.
    assert stale.acknowledged - before <= 1
    assert (await cluster.copies())[owner]["role"] == "replica"
    assert await cluster.verified(owner) == []


async def test_volume_of_an_owner_that_returns_answers_nobody(
    cluster: NetworkVolumeCluster,
) -> None:
    """Its service hung while it was isolated. The next one is told to release the volume before it
    hears the data path, which leads still: released it is only once that one does not."""
    await cluster.in_sync()
    owner = await cluster.owner()
    await cluster.keep_streams_off(owner)
    name = "owner of a volume isolated, its service hung, back without the replication"
    async with scenario(cluster, name, expect=1) as scene:
        cluster.lab.isolate(owner)
        cluster.send(owner, "storage_replication", signal.SIGSTOP)
        await scene.moved()
        cluster.lab.heal()
        cluster.lab.cut(SAN)

        def back(status: StatusReply) -> bool:
            leased = any(one.node == owner and one.lease_valid for one in status.nodes)
            copies = [one.pulse for one in status.volumes if one.node == owner and one.heard]
            return leased and any(
                copy.standing == "behind" and copy.role != "off" for copy in copies
            )

        await cluster.status_where(back, f"{owner} has a lease, and hears its data path")
        with pytest.raises((OSError, EOFError)):
            ask(cluster, owner)
    await both_in_sync(scene, cluster, owner)
    assert await cluster.verified(owner) == []


@pytest.mark.parametrize("what", ["the port", "the network"])
async def test_cut_between_the_copies_moves_nothing(
    cluster: NetworkVolumeCluster, what: str
) -> None:
    await cluster.in_sync()
    async with scenario(cluster, f"{what} of replication cut", expect=0) as scene:
        if what == "the port":
            cluster.lab.block(REPLICATION)
        else:
            cluster.lab.cut(SAN)
        await cluster.seen(
            "volume_set_changed", since=scene.began, change="taken_out", member=scene.other
        )
        assert await asyncio.to_thread(scene.client.wait_acknowledged, WRITES, SETTLE)
        cluster.lab.heal()
        await both_in_sync(scene, cluster, scene.other)
    nothing_happened(scene)
    assert await cluster.verified(scene.other) == []
