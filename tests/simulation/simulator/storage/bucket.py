"""The bucket `ha_volumes`: compare-and-set with the stalls, refusals and lost answers of the store,
and watches that lag."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from holdfast.bus_errors import BusTimeout, Conflict
from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from tests.simulation.simulator.places import Service
    from tests.simulation.simulator.storage.loop import VirtualLoop
    from tests.simulation.simulator.world import World

LOOK_EVERY = 0.5
Done = Callable[[str, int], None]
Handler = Callable[[VolumeRecord, int], None]


class Bucket:
    """It shares its leader and its troubles with `ha_ownership`."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = Random(f"bucket of volumes of {world.seed}")
        self.log: list[tuple[VolumeRecord, int]] = []
        self.current: dict[str, tuple[VolumeRecord, int]] = {}
        self._watches: dict[str, Watched] = {}
        self.on_stored: Callable[[VolumeRecord | None, VolumeRecord], None] = lambda *_: None

    def begin(self) -> None:
        """Watches that missed something catch up."""
        for watch in list(self._watches.values()):
            self._show(watch)
        self._world.engine.after(LOOK_EVERY, self.begin)

    def record(self, volume: str) -> VolumeRecord | None:
        """What stands there, in truth."""
        found = self.current.get(volume)
        return found[0] if found else None

    def write(self, place: str, record: VolumeRecord, revision: int, done: Done) -> None:
        """Compare and set. `done` may never be called."""
        if self._world.store.serves(place):
            delay = 0.002 + 0.006 * self._chance.random()
            self._world.engine.after(delay, self._arrive, place, record, revision, done)

    def _arrive(self, place: str, record: VolumeRecord, revision: int, done: Done) -> None:
        world, chance = self._world, self._chance.random
        store, engine = world.store, world.engine
        if engine.now < store.stalled_until or store.leader is None:
            world.seen["volume record stalled"] += 1
            if chance() < 0.5:
                later = max(store.stalled_until, engine.now + 1.0) + 0.05
                engine.at(later, self._arrive, place, record, revision, done)
            return
        if chance() < store.refuses:
            world.seen["volume record refused"] += 1
            done("conflict", 0)
            return
        before, standing = self.current.get(record.volume, (None, 0))
        if standing != revision:
            world.seen["volume record overtaken"] += 1
            self._answer(place, done, "conflict", 0)
            return
        written = len(self.log) + 1
        self.on_stored(before, record)
        self.log.append((record, written))
        self.current[record.volume] = (record, written)
        if chance() >= store.refuses:
            self._answer(place, done, "written", written)
        else:
            world.seen["volume record in doubt"] += 1
        for watch in self._watches.values():
            lag = chance()
            engine.after(0.001 + (0.02 if lag < 0.95 else 2.0) * lag, self._show, watch)

    def _answer(self, place: str, done: Done, outcome: str, revision: int) -> None:
        store = self._world.store
        if store.leader is not None and (store.leader, place) not in self._world.network.cut:
            self._world.engine.after(0.002, done, outcome, revision)

    def watch(self, watched: "Watched") -> None:
        """One for each place; a new one replaces that of a process that is gone."""
        self._watches[watched.process.place.name] = watched
        self._show(watched)

    def _show(self, watch: "Watched") -> None:
        store, place = self._world.store, watch.process.place.name
        if not store.serves(place) or self._world.engine.now < store.lags_until:
            return
        fresh, watch.seen = self.log[watch.seen :], len(self.log)
        for record, revision in fresh:
            watch.loop.reach(watch.handler, record, revision)


class Watched:
    """One service's watch."""

    def __init__(self, process: "Service", loop: "VirtualLoop", handler: Handler) -> None:
        self.process, self.loop, self.handler = process, loop, handler
        self.seen = 0


class BucketAt:
    """A `VolumeStore` of one service."""

    def __init__(self, bucket: Bucket, process: "Service", loop: "VirtualLoop") -> None:
        self._bucket, self._process, self._loop = bucket, process, loop

    async def compare_and_set(self, record: VolumeRecord, revision: int, *, timeout: float) -> int:
        """As `VolumeStore.compare_and_set`."""
        answer: asyncio.Future[tuple[str, int]] = self._loop.create_future()

        def done(outcome: str, written: int) -> None:
            self._loop.reach(settle, outcome, written)

        def settle(outcome: str, written: int) -> None:
            if not answer.done():
                answer.set_result((outcome, written))

        place = f"volume {record.volume}"
        if self._process.blown():
            await self._loop.create_future()
        self._bucket.write(self._process.place.name, record, revision, done)
        try:
            async with asyncio.timeout(timeout):
                outcome, written = await answer
        except TimeoutError:
            raise BusTimeout("no answer", place=place, cure="is there a majority?") from None
        if self._process.blown():
            await self._loop.create_future()
        if outcome == "conflict":
            raise Conflict("another revision", place=place, cure="look again")
        return written

    async def watch(self, handler: Handler, loaded: Callable[[], None]) -> None:
        """As `VolumeStore.watch`."""
        self._bucket.watch(Watched(self._process, self._loop, handler))
        loaded()
        await asyncio.Event().wait()
