"""The services of a replicated volume's members in one process, with real data paths beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from holdfast import clock
from holdfast.bus import Bus
from holdfast.config.volumes import ReplicatedVolume, VolumeMember
from holdfast.events import Draft
from holdfast.ids import uuid7
from holdfast.stopping import end
from holdfast.storage_replication.blocks.smallfile import SmallFile
from holdfast.storage_replication.disk import superblock
from holdfast.storage_replication.disk.bitmap import PAGE, Bitmap, pages_for
from holdfast.storage_replication.disk.files import FolderStore
from holdfast.storage_replication.disk.member import ACTIVITY
from holdfast.storage_replication.memory import Memory
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.storage_replication.replicated.requests import carry_out
from holdfast.volumes import VolumeRecord, VolumeStore
from holdfast.wire import VolumeOrder
from holdfast.wire.volumes import ChangeMember, CreateVolume, NodeLease, VolumeAnswer
from tests.support.nats import free_ports
from tests.support.nbd_client import Client
from tests.support.waiting import until

VOLUME, BOOT = "v", "00000000-0000-4000-8000-000000000001"
SIZE = 16 << 20
WITHIN = 30.0
IDLE = 6.0
"""Seconds after which extents are inactive that nobody writes to."""


class Host:
    """One node: its files, and its storage service as far as this volume goes."""

    def __init__(self, bus: Bus, folder: Path, config: ReplicatedVolume, node: str) -> None:
        self.bus, self.node = bus, node
        self.folder = folder / node
        self.folder.mkdir(exist_ok=True)
        self.disk = Path(config.members[node].path)
        self.place = Place(
            volume=VOLUME,
            node=node,
            config=config,
            folder=self.folder / VOLUME,
            secrets=folder / "none",
            hosts={name: ("127.0.0.1", one.port) for name, one in config.members.items()},
            member_timeout=1.5,
            frozen_after=10.0,
        )
        self.events: list[Draft] = []
        self.pid = 0
        self.agent: Agent
        self.register: Register
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """The service; a data path that runs is found."""
        reports = Reports(self.node, self.events.append, lambda: None)
        self.register = Register(VolumeStore(self.bus), lambda record: self.agent.recorded(record))
        self.agent = Agent(self.place, BOOT, self.register, Memory(self.folder), reports)
        self.agent.lease(
            NodeLease(node=self.node, boot=BOOT, since=1.0, valid_until=clock.monotonic() + 600)
        )
        self._tasks = [asyncio.create_task(one) for one in (self.register.run(), self.agent.run())]

    async def stop(self) -> None:
        """The service, as if killed; its data path goes on."""
        state = self.agent.paths.state
        self.pid = state.pid if state is not None else 0
        tasks, self._tasks = self._tasks, []
        await end(*tasks)

    def write(self, offset: int, data: bytes) -> None:
        """As a client of this primary; durable on return."""
        with Client(self.place.socket, export=VOLUME.encode()) as client:
            assert client.write(offset, data) == client.flush() == 0

    async def idle(self) -> None:
        """Only the last extent is active at this primary: what it knows is in its dirty maps.

        What has become inactive is saved when another one becomes active.
        """
        store = FolderStore(self.place.folder, SmallFile)
        found = superblock.load(store, self.node)
        assert found is not None
        count = found.geometry.extents(found.size)
        file = store.open(ACTIVITY, pages_for(count) * PAGE)
        wrote = clock.monotonic()

        def none() -> bool:
            nonlocal wrote
            if clock.monotonic() - wrote > IDLE:
                self.write(found.size - 4096, b"idle")
                wrote = clock.monotonic()
            bits = Bitmap(file, count, f"{found.uuid}/{ACTIVITY}")
            bits.load()
            return set(bits) <= {count - 1}

        await until(none, within=WITHIN, what="nothing is active")

    async def end(self) -> None:
        """Service and data path."""
        await self.stop()
        with contextlib.suppress(OSError):
            await self.agent.paths.end_unheard()

    @property
    def data_path(self) -> int:
        """Its process, as it last said."""
        assert self.pid
        return self.pid

    @property
    def record(self) -> VolumeRecord:
        found = self.register.record(VOLUME)
        assert found is not None
        return found

    async def lead(self, epoch: int) -> None:
        """As recovery orders it."""
        answer = await self.agent.order(self.activate(epoch))
        assert answer.ok, answer.error

    def activate(self, epoch: int) -> VolumeOrder:
        """What recovery would send."""
        return VolumeOrder(
            action="activate", volume=VOLUME, node=self.node, boot=BOOT, epoch=epoch,
            intent=uuid7(), incident=uuid7(), cause=uuid7(),
        )  # fmt: skip

    async def change(self, action: Literal["add", "remove"], member: str) -> VolumeAnswer:
        """As `holdfast volume members` asks."""
        request = ChangeMember(
            volume=VOLUME,
            operator="ana",
            action=action,
            member=member,
        )
        return await carry_out(self.agent, request)

    async def counts(self, *names: str) -> None:
        """Who is in sync, exactly; as its primary knows it, too."""

        def so() -> bool:
            state, record = self.agent.paths.state, self.register.record(VOLUME)
            if state is None or record is None or set(record.in_sync) != set(names):
                return False
            streaming = {n for n, one in state.members.items() if one.phase == "streaming"}
            return streaming == set(names) - {self.node}

        await until(so, within=WITHIN, what=f"{names} are in sync")


@asynccontextmanager
async def hosts(bus: Bus, folder: Path, *names: str) -> AsyncIterator[dict[str, Host]]:
    """Started, the first one leads at epoch 1, and all of them are in sync."""
    ports = free_ports(len(names))
    config = ReplicatedVolume(
        size="16MiB",
        members={
            name: VolumeMember(path=str(folder / f"{name}.raw"), port=port)
            for name, port in zip(names, ports, strict=True)
        },
    )
    made = {name: Host(bus, folder, config, name) for name in names}
    first = made[names[0]]
    try:
        for host in made.values():
            host.start()
        request = CreateVolume(volume=VOLUME, operator="ana")
        answer = await carry_out(first.agent, request)
        assert answer.ok, answer.text
        await until(first.agent.paths.ready.is_set, within=WITHIN, what="its data path runs")
        await first.lead(1)
        await first.counts(*names)
        yield made
    finally:
        for host in made.values():
            await host.end()
