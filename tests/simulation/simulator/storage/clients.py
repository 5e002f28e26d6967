"""Clients of a volume: they write wherever it is served, rightly or not, and remember what was
acknowledged."""

from random import Random
from typing import TYPE_CHECKING

from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.simulator.storage.copies import PLACES, SECTOR, STEP

if TYPE_CHECKING:
    from tests.simulation.simulator.storage.path import DataPath
    from tests.simulation.simulator.storage.volumes import Volumes
    from tests.simulation.simulator.world import World

EVERY = 0.5
FIRST = 4.0
NEAR = 4
"""Places that are written to for a while; then others, after a pause. So extents become inactive,
and a member that lost what it had there is not found out by a comparison."""


class Client:
    """Each write has a number; it is durable when it is acknowledged (FUA)."""

    def __init__(self, world: "World", volumes: "Volumes", volume: str) -> None:
        self._world, self._volumes, self.volume = world, volumes, volume
        self._chance = Random(f"clients of {volume} {world.seed}")
        self._number = 0
        self.acknowledged = [0] * PLACES
        """The latest acknowledged write of each place."""
        self.last = 0.0
        """When one was acknowledged, true time."""
        self._open: dict[int, tuple[DataPath, Primary]] = {}
        self.restless = False
        """Without pauses: at the end, it is to be seen that writes are acknowledged."""
        self._first, self._until = 0, 0.0
        world.engine.at(FIRST, self._act)

    def _act(self) -> None:
        chance, now = self._chance, self._world.engine.now
        if now > self._until and not self.restless:
            self._first = NEAR * chance.randrange(PLACES // NEAR)
            self._until = now + chance.uniform(8.0, 16.0)
        if now < self._until - 7.0 or self.restless:
            self._write_everywhere(self._first + chance.randrange(NEAR))
        self._world.engine.after(EVERY * chance.uniform(0.2, 1.8), self._act)

    def _write_everywhere(self, where: int) -> None:
        for host in self._volumes.configs[self.volume].members:
            path = self._volumes.path(host, self.volume)
            if path is not None and path.served is not None and not path.frozen:
                self._write(path, where)

    def _write(self, path: "DataPath", where: int) -> None:
        open_ = self._open.get(where)
        if open_ is not None and open_[0].primary is open_[1]:
            return
        primary = path.primary
        if primary is None:
            return
        self._number += 1
        number = self._number
        self._open[where] = path, primary

        def done(error: int) -> None:
            self._open.pop(where, None)
            if not error and path.served is not None:
                self._acknowledged(path, where, number)

        content = number.to_bytes(8, "big") + bytes(SECTOR - 8)
        path.loop.enter(primary.write, where * STEP, content, True, done)

    def _acknowledged(self, path: "DataPath", where: int, number: int) -> None:
        self._volumes.invariants.on_acknowledged(path)
        self._world.seen["write acknowledged"] += 1
        self.acknowledged[where] = max(self.acknowledged[where], number)
        self.last = self._world.engine.now

    def accept(self, versions: list[int]) -> int:
        """What this copy lacks is lost, as was accepted; how many places differ."""
        lost = sum(has < was for has, was in zip(versions, self.acknowledged, strict=True))
        self.acknowledged = list(versions)
        return lost
