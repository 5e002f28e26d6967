"""Clients of the volume: of whoever says it is the primary, rightly or not."""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.history import Place, content

if TYPE_CHECKING:
    from tests.simulation.volumes.machine import Machine
    from tests.simulation.volumes.world import World

_DEPTH = 8


@dataclass(eq=False)
class Request:
    """Under way."""

    machine: "Machine"
    places: list[Place]


class Client:
    """Sends requests while `busy`; whoever dies with some of them leaves their fate open.

    With some seeds it has no patience: it connects anew, leaving a request under way, and may send
    another one for the same place. What it left must not overwrite that.
    """

    def __init__(self, world: "World", seed: int) -> None:
        self.world = world
        self._impatient = Random(f"{seed} impatient")
        self._patience = self._impatient.random() > 0.3
        self.open: dict[Request, None] = {}
        self.busy = True
        self._writes = 0
        self._pause()

    def gone(self, machine: "Machine") -> None:
        """Its process has died: there will be no answer, also not of a role that it had left."""
        for request in [r for r in self.open if r.machine is machine]:
            self._end(request, False, False)

    def _pause(self) -> None:
        random = self.world.loop.random
        self.world.loop.at(random.choice((0.0005, 0.002, 0.01, 0.05)), self._act)

    def _act(self) -> None:
        self._pause()
        self._leave_one()
        random = self.world.loop.random
        leaders = [m for m in self.world.machines.values() if isinstance(m.process, Primary)]
        if not self.busy or not leaders or len(self.open) >= _DEPTH:
            return
        machine = random.choice(leaders)
        sectors = machine.process.size // SECTOR  # type: ignore[union-attr]
        self.world.history.grow(sectors)
        # Most requests go to a few places: only so do they meet.
        span = sectors if random.random() < 0.3 else sectors // 4
        first = random.randrange(span)
        last = min(first + random.choice((1, 1, 2, 8, 16)), sectors) - 1
        kind = random.random()
        if kind < 0.25:
            machine.guard(lambda: self._read(machine, first, last))
        elif kind < 0.35:
            machine.guard(lambda: self._flush(machine))
        elif self.world.history.free(first, last):
            machine.guard(lambda: self._write(machine, first, last))

    def _leave_one(self) -> None:
        """Its answer is not heard any more."""
        if self._patience or not self.open or self._impatient.random() > 0.05:
            return
        request = self._impatient.choice(list(self.open))
        if request.places:
            self.world.count("left under way")
            self._end(request, False, False)

    def _write(self, machine: "Machine", first: int, last: int) -> None:
        world, primary = self.world, machine.process
        assert isinstance(primary, Primary)
        random = world.loop.random
        self._writes += 1
        write = self._writes
        zero, fua = random.random() < 0.1, random.random() < 0.1
        label = 0 if zero else write
        request = Request(machine, world.history.issue(write, label, first, last))
        self.open[request] = None
        offset, length = first * SECTOR, (last - first + 1) * SECTOR

        def done(error: int) -> None:
            if request not in self.open:
                return
            if not error:
                world.count("fua" if fua else "write")
                world.check(
                    world.current(machine) or machine.name in world.service.record.in_sync,
                    f"{machine.name} acknowledges a write, and is primary no more",
                )
                world.check(
                    world.loop.now < world.lease.get(machine.name, 0.0),
                    f"V7: {machine.name} acknowledges a write after its lease",
                )
                if not world.current(machine):
                    world.count("acknowledged by a former primary")
            self._end(request, not error, fua)

        if zero:
            primary.zero(offset, length, True, fua, done)
        else:
            primary.write(offset, memoryview(content(label) * (last - first + 1)), fua, done)

    def _end(self, request: Request, acknowledged: bool, durable: bool) -> None:
        del self.open[request]
        self.world.history.ended(request.places, acknowledged, durable)

    def _read(self, machine: "Machine", first: int, last: int) -> None:
        world, primary = self.world, machine.process
        assert isinstance(primary, Primary)
        request = Request(machine, [])
        self.open[request] = None

        def done(error: int, data: bytes | bytearray | memoryview) -> None:
            if request not in self.open:
                return
            self._end(request, False, False)
            if not error:
                world.count("read")
                world.check(
                    world.loop.now < world.lease.get(machine.name, 0.0),
                    f"V7: {machine.name} answers a read after its lease",
                )
                world.history.read(machine.name, first, bytes(data))

        primary.read(first * SECTOR, (last - first + 1) * SECTOR, done)

    def _flush(self, machine: "Machine") -> None:
        world, primary = self.world, machine.process
        assert isinstance(primary, Primary)
        request = Request(machine, [])
        self.open[request] = None
        floors = world.history.floors()

        def done(error: int) -> None:
            if request not in self.open:
                return
            self._end(request, False, False)
            if not error:
                world.count("flush")
                world.history.flushed(floors)

        primary.flush(done)
