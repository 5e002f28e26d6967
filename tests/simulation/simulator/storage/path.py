"""A member's data path: the real node, engine and control socket, as a process of its own."""

from random import Random
from typing import TYPE_CHECKING, Any

from holdfast.storage_replication.control import FromService, State
from holdfast.storage_replication.data_path.control_socket import ControlSocket
from holdfast.storage_replication.data_path.control_socket import Service as Connection
from holdfast.storage_replication.data_path.listener import Listener
from holdfast.storage_replication.data_path.node import Node
from holdfast.storage_replication.data_path.orders import Orders
from holdfast.storage_replication.data_path.state import state
from holdfast.storage_replication.data_path.waiting import ended
from holdfast.storage_replication.disk.member import open_member
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.interfaces import Volume
from holdfast.structs import replace
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.storage.copies import UNDO, Copy
from tests.simulation.simulator.storage.loop import VirtualLoop

if TYPE_CHECKING:
    from holdfast.storage_replication.data_path.link import LinkConnection
    from tests.simulation.simulator.world import World

TICK = 0.4
"""Fewer than the real one has, so that more histories fit in a minute; below what the engine takes
for a standstill of its own."""
STATE_EVERY = 0.9
CHANGES = frozenset({Kind.WRITE, Kind.ZERO, Kind.FLUSH, Kind.SETTLED, Kind.CLEAN})


class Door:
    """Where clients find the volume: without NBD, which has tests of its own."""

    port = clients = 0

    def __init__(self, path: "DataPath") -> None:
        self._path = path
        self.volume: Volume | None = None

    async def open(self, volume: Volume) -> None:
        """It is served from now on."""
        self.volume = volume
        self._path.world.volumes.invariants.on_served(self._path)

    def resize(self, size: int) -> None:
        """Volumes of the simulator do not grow."""

    def cut(self) -> None:
        """Nobody is answered."""
        self.volume = None

    async def close(self, deadline: float) -> None:
        """Nobody new."""
        self.volume = None


class Followed(Node):
    """A node whose frames are watched."""

    path: "DataPath"

    def from_primary(self, link: "LinkConnection", frame: Frame, payload: memoryview) -> None:
        """V2: what an older primary says is refused."""
        before = self.disk.superblock.epoch
        super().from_primary(link, frame, payload)
        if frame.kind in CHANGES and frame.epoch < before and self.follows(link):
            self.path.world.volumes.invariants.old_frame(self.path, frame.epoch, before)


class DataPath(Service):
    """`Member` without its sockets and files: these are simulated."""

    title = "data path"

    def __init__(self, world: "World", place: Place, volume: str, uuid: str, pid_of: Any) -> None:
        super().__init__(world, place)
        self.volume, self._uuid, self._pid_of = volume, uuid, pid_of
        self.slot = slot(volume)
        self.copy: Copy = world.volumes.copies[place.name, volume]
        self.loop = VirtualLoop(self, world.volumes.wires)
        self.node: Followed | None = None
        self._told = 0.0
        self.said: State | None = None
        """What its service was told last."""
        self._superblock: object = None
        self._listener: Listener
        self._control: ControlSocket
        self._orders: Orders

    def start(self) -> None:
        """As `Member.open` and `Member.tick` do."""
        self.loop.enter(self.loop.work, self._open(), "open")

    async def _open(self) -> None:
        copy = self.copy
        copy.opened_by(self.loop)
        copy.make(self._uuid)
        disk = open_member(
            copy.store, copy.data, place=self.place.name, boot=self.place.boot, undo_limit=UNDO
        )
        assert not await ended(disk.confirm)
        door: Any = Door(self)
        self.node = node = Followed(disk, lambda _: None, door, None, self._say)
        node.path = self
        self._orders = Orders(node)
        self._control = ControlSocket(self._receive, self._greet)
        self._listener = Listener(node)
        volumes = self.world.volumes
        await self._listener.listen("", volumes.port(self.place.name, self.volume), None)
        control = volumes.control_socket(self.place.name, self.volume)
        volumes.wires.listen(self.loop, lambda: Connection(self._control), control)
        self.after(TICK * Random(f"{self.world.seed} {self.place.boot}").random(), self._tick)

    @property
    def primary(self) -> Primary | None:
        """If it is one."""
        role = self.node.role if self.node is not None and self.alive else None
        return role if isinstance(role, Primary) else None

    @property
    def served(self) -> Volume | None:
        """What clients find here."""
        if self.node is None or not self.alive:
            return None
        door: Any = self.node.door
        volume: Volume | None = door.volume
        return volume

    def _tick(self) -> None:
        self.after(TICK, self._tick)
        self.loop.enter(self._look)

    def _look(self) -> None:
        node = self.node
        assert node is not None
        node.tick()
        self.world.volumes.invariants.on_epoch(self)
        changed = node.changed or node.disk.superblock is not self._superblock
        if changed or self.clock() - self._told >= STATE_EVERY:
            self._tell()

    def _receive(self, service: Connection, message: FromService) -> None:
        self._orders.receive(service, message)

    def _greet(self) -> None:
        self._tell()
        if self.node is not None:
            self.node.ask_again()

    def _tell(self) -> None:
        node = self.node
        assert node is not None
        self._told = self.clock()
        node.disk.note_failure()
        node.changed = False
        self._superblock = node.disk.superblock
        self.said = replace(state(node, self.volume, 0), pid=self._pid_of(self.loop))
        self._say(self.said)

    def _say(self, message: Any) -> None:
        self._control.say(message)


def slot(volume: str) -> str:
    """Of the data path, at its place."""
    return f"data path of {volume}"
