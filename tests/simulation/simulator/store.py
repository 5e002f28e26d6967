"""JetStream's KV bucket: compare-and-set that stalls, refuses, and leaves one in doubt.

One place leads the stream. When it is lost, nothing is written for 4 to 9 s. Each place has a
replica that lags; a decider watches the one at its place, however stale.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing

if TYPE_CHECKING:
    from tests.simulation.simulator.decider import DeciderService
    from tests.simulation.simulator.world import World

LOOK_EVERY = 0.5
FIRST_LOOK = 3.0
"""By then all places are up."""
Done = Callable[[str, int], None]
"""Takes the outcome and the revision."""


Value = OwnershipRecord | Standing


class Store:
    """The bucket `ha_ownership`."""

    def __init__(self, world: "World", leader: str) -> None:
        self._world = world
        self.leader: str | None = leader
        self.stalled_until = 0.0
        self.lags_until = 0.0
        self.refuses = 0.0
        """The share of writes refused for no reason; as many again are written in silence."""
        self.log: list[tuple[Value, int]] = []
        self.current: dict[str, tuple[OwnershipRecord, int]] = {}
        self.standing: tuple[Standing, int] = (Standing(), 0)
        self.replicas = dict.fromkeys(world.places, 0)
        world.engine.after(FIRST_LOOK, self._look)

    def serves(self, place: str) -> bool:
        """Whether this place reaches the stream's leader."""
        return self.leader is not None and self._world.network.linked(place, self.leader)

    def stall(self, seconds: float) -> None:
        """No write ends for a while."""
        self.stalled_until = max(self.stalled_until, self._world.engine.now + seconds)

    def move_leader(self, away_from: frozenset[str]) -> None:
        """Orderly: no stall."""
        for name in reversed(list(self._world.places)):
            if name not in away_from and self._leads_well(name):
                self.leader = name
                return

    def write(self, place: str, record: Value, revision: int, done: Done) -> None:
        """Compare and set. `done` may never be called: the answer was lost."""
        if self.serves(place):
            chance = self._world.engine.chance.random
            self._world.engine.after(
                0.002 + 0.006 * chance(), self._arrive, place, record, revision, done
            )

    def _arrive(self, place: str, record: Value, revision: int, done: Done) -> None:
        engine = self._world.engine
        if engine.now < self.stalled_until or self.leader is None:
            self._world.seen["write stalled"] += 1
            if engine.chance.random() < 0.5:
                later = max(self.stalled_until, engine.now + 1.0) + 0.05
                engine.at(later, self._arrive, place, record, revision, done)
            return
        if engine.chance.random() < self.refuses:
            self._world.seen["write refused"] += 1
            done("conflict", 0)
            return
        if self.revision(record) != revision:
            self._world.seen["write overtaken"] += 1
            self._answer(place, done, "conflict", 0)
            return
        written = len(self.log) + 1
        if isinstance(record, Standing):
            self.standing = (record, written)
        else:
            current = self.current.get(record.group)
            self._world.invariants.on_stored(current[0] if current else None, record)
            self.current[record.group] = (record, written)
        self._world.stored(record, written)
        self.log.append((record, written))
        if engine.chance.random() >= self.refuses:
            self._answer(place, done, "written", written)
        else:
            self._world.seen["write in doubt"] += 1
        for name in self._world.places:
            lag = engine.chance.random()
            engine.after(0.001 + (0.02 if lag < 0.95 else 2.0) * lag, self.catch_up, name)

    def revision(self, value: Value) -> int:
        """Where what stands under the same key stands now; 0: there is nothing."""
        if isinstance(value, Standing):
            return self.standing[1]
        current = self.current.get(value.group)
        return current[1] if current else 0

    def _answer(self, place: str, done: Done, outcome: str, revision: int) -> None:
        if self.leader is not None and (self.leader, place) not in self._world.network.cut:
            self._world.engine.after(0.002, done, outcome, revision)

    def catch_up(self, place: str) -> None:
        """Bring a place's replica, and its decider's watch, up to date, if the bus lets it."""
        if self.serves(place) and self._world.engine.now >= self.lags_until:
            self.replicas[place] = len(self.log)
            decider = self._world.decider(place)
            if decider is not None:
                decider.run(decider.show, ())

    def load(self, decider: "DeciderService") -> bool:
        """Whether a fresh watch gets going. Cut off, it may still read what is stale."""
        place = decider.place.name
        return self.serves(place) or self._world.engine.chance.random() < 0.1

    def _leads_well(self, name: str) -> bool:
        places, linked = self._world.places, self._world.network.linked
        if not places[name].powered or places[name].paused:
            return False
        near = [n for n, p in places.items() if p.powered and not p.paused and linked(name, n)]
        return len(near) > len(places) // 2

    def _look(self) -> None:
        engine = self._world.engine
        if self.leader is None or not self._leads_well(self.leader):
            able = [name for name in self._world.places if self._leads_well(name)]
            self.leader = engine.chance.choice(able) if able else None
            self.stall(engine.chance.uniform(4.0, 9.0))
        for name in self._world.places:
            if self._world.places[name].powered:
                self.catch_up(name)
        engine.after(LOOK_EVERY, self._look)
