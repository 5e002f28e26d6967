"""A volume that this node served before a gap in its lease, with the records on a real cluster."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.bus import Bus
from holdfast.stopping import end
from holdfast.storage_replication.epochs import Mark
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.replicated import membership
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.tenancy import Tenancy
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.store import ensure_streams
from holdfast.structs import replace
from holdfast.volumes import VolumeRecord, VolumeStore
from holdfast.wire.volumes import NodeLease
from tests.support.buses import MakeBus
from tests.support.nats import NatsServer
from tests.support.waiting import until

WITHIN = 20.0
MARK = Mark(epoch=3, node="alpha", boot="b")


def lease(since: float, valid_until: float) -> NodeLease:
    return NodeLease(node="alpha", boot="b", since=since, valid_until=valid_until)


class Node:
    """The storage service of one node, as far as its volume goes."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self.register = Register(VolumeStore(bus), lambda _: self.news.set())
        self.news = asyncio.Event()
        self.memory = Memory(folder)
        self.turn = asyncio.Lock()
        self.told: list[float] = []
        self.passed_on = asyncio.Event()
        self.tenancy = Tenancy("v", self.register, self.memory, self.turn, self._pass_on)

    def _pass_on(self) -> None:
        self.told.append(self.tenancy.valid_until)
        self.passed_on.set()

    async def sees(self, epoch: int) -> VolumeRecord:
        """Wait for the record."""
        async with asyncio.timeout(WITHIN):
            while (record := self.register.record("v")) is None or record.epoch < epoch:
                await self.news.wait()
                self.news.clear()
        return record


@asynccontextmanager
async def serving(bus: Bus, folder: Path) -> AsyncIterator[Node]:
    """Alpha has served the volume since epoch 3, under the lease that it has held since 100."""
    await ensure_streams(bus, len(bus.servers))
    node = Node(bus, folder)
    tasks = [asyncio.create_task(one) for one in (node.register.run(), node.tenancy.run())]
    try:
        first = membership.create("v", "uuid", 1 << 20, ["alpha", "beta"], "alpha")
        await node.register.create(replace(first, primary="alpha", epoch=MARK.epoch), within=WITHIN)
        node.memory.store("v", Remembered(mark=MARK, active=True, since=100.0))
        yield node
    finally:
        await end(*tasks)


@pytest.fixture
async def node(
    nats_cluster: list[NatsServer], make_bus: MakeBus, tmp_path: Path
) -> AsyncIterator[Node]:
    async with serving(await make_bus(nats_cluster), tmp_path) as made:
        yield made


async def test_a_lease_without_a_gap_is_passed_on_unasked(node: Node) -> None:
    before = await node.sees(3)
    node.tenancy.renew(lease(100.0, 150.0))
    node.tenancy.renew(lease(100.0, 151.0))
    assert node.told == [150.0, 151.0]
    node.tenancy.renew(lease(90.0, 152.0))
    assert node.told == [150.0, 151.0], "late: of an earlier lease"
    assert node.register.record("v") is before


async def test_after_a_gap_the_record_is_asked_first(node: Node) -> None:
    await node.sees(3)
    node.tenancy.renew(lease(200.0, 206.0))
    assert node.told == []
    async with asyncio.timeout(WITHIN):
        await node.passed_on.wait()
    assert node.told == [206.0]
    node.tenancy.renew(lease(200.0, 207.0))
    assert node.told == [206.0, 207.0], "once is enough"
    assert node.memory.of("v").since == 200.0, "also for the next process"


async def test_what_another_node_has_taken_over_stays_shut(
    node: Node, nats_cluster: list[NatsServer], make_bus: MakeBus, tmp_path: Path
) -> None:
    record = await node.sees(3)
    async with asyncio.timeout(WITHIN), node.turn:
        # Its answer will be as late as this order: the record has changed meanwhile.
        node.tenancy.renew(lease(200.0, 206.0))
        other = Node(await make_bus(nats_cluster), tmp_path)
        watching = asyncio.create_task(other.register.run())
        try:
            assert (await other.sees(3)).epoch == record.epoch
            await other.register.change(
                "v", lambda r: replace(r, primary="beta", epoch=4), within=WITHIN
            )
        finally:
            await end(watching)
    with pytest.raises(ChangeRefused, match="beta is its primary, at epoch 4"):
        await node.tenancy.confirm()
    node.tenancy.renew(lease(200.0, 207.0))
    await until(lambda: "beta is its primary" in node.tenancy.problem, within=WITHIN)
    assert node.told == []
    assert node.memory.of("v").since == 100.0


async def test_what_is_seen_to_be_another_s_is_told_of_no_lease(node: Node) -> None:
    await node.sees(3)
    node.tenancy.renew(lease(100.0, 150.0))
    await node.register.change("v", lambda r: replace(r, primary="beta", epoch=4), within=WITHIN)
    node.tenancy.renew(lease(100.0, 151.0))
    assert node.told == [150.0]


async def test_without_a_majority_nobody_can_tell(
    node: Node, nats_cluster: list[NatsServer]
) -> None:
    await node.sees(3)
    for server in nats_cluster[1:]:
        server.kill()
    node.tenancy.renew(lease(200.0, 206.0))
    with pytest.raises(Exception, match="could not be changed"):
        await node.tenancy.confirm()
    assert node.told == []
