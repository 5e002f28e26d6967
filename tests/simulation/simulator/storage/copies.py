"""What is on a host's disks of one volume: it outlives processes, and power but for what was not
synced."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.disk.member import create
from holdfast.storage_replication.disk.superblock import load
from tests.simulation.volumes.disks import Power, SimFile, SimStore

if TYPE_CHECKING:
    from tests.simulation.simulator.engine import Engine
    from tests.simulation.simulator.storage.loop import VirtualLoop

SIZE = 64 << 10
SECTOR = 512
PLACES = 16
"""Where clients write: one sector in each block of the volume."""
STEP = SIZE // PLACES
GEOMETRY = Geometry(extent=16 << 10, chunk=4 << 10, block=1 << 10)
UNDO = 1 << 20
INSTANCE = "instance"


class Clock:
    """The time of the crash tester's disks: what is due reaches the process that uses them."""

    def __init__(self, engine: "Engine", seed: str) -> None:
        self._engine, self.random = engine, Random(seed)
        self.loop: VirtualLoop | None = None
        self.power: Power

    def at(self, delay: float, run: Callable[[], None]) -> None:
        """Whatever becomes of the process: the disk does it."""
        self._engine.after(delay, self._due, run)

    def _due(self, run: Callable[[], None]) -> None:
        if self.loop is not None and not self.loop.process.alive:
            self.loop = None
            self.power.life += 1  # nobody is told any more
        if self.loop is None:
            run()
        else:
            self.loop.reach(run)


class Copy:
    """One member: its data, and the files beside it."""

    def __init__(self, engine: "Engine", host: str, volume: str, seed: int) -> None:
        self.host, self.volume = host, volume
        self.clock = Clock(engine, f"disk of {host} {volume} {seed}")
        self.power = self.clock.power = Power(self.clock)  # type: ignore[arg-type]
        self.data = SimFile(self.power, SIZE)
        self.store = SimStore(self.power)
        self.highest = 0
        """The highest epoch at which this copy was seen to act."""

    @property
    def instance(self) -> str:
        """Which copy it is; empty: none."""
        return self.store.small.get(INSTANCE, b"").decode()

    def make(self, uuid: str) -> None:
        """Its superblock, unless there is one."""
        if load(self.store, self.host) is None:
            create(self.store, self.data, uuid=uuid, member=self.host, size=SIZE, geometry=GEOMETRY)

    def opened_by(self, loop: "VirtualLoop") -> None:
        """A new process; the one before is dead."""
        self.power.life += 1
        self.clock.loop = loop
        self.data.reopen(True)
        self.store.reopen()

    def power_off(self) -> None:
        """What was not synced may be lost."""
        self.power.life += 1
        self.power.boot += 1
        self.clock.loop = None
        self.data.lose_power()
        self.store.lose_power()

    def lose(self, *, data: bool) -> None:
        """The files beside it are lost, or the data, too."""
        self.store = SimStore(self.power)
        self.highest = 0
        if data:
            self.data = SimFile(self.power, SIZE)

    def versions(self) -> list[int]:
        """What clients would read, place for place."""
        memory = self.data.memory
        return [int.from_bytes(memory[at : at + 8], "big") for at in range(0, SIZE, STEP)]
