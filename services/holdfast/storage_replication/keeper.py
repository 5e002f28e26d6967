"""One volume: orders and probes one at a time, each in a thread with a deadline.

A thread that hangs (a dead NFS server) is not waited for, and the volume is not accessed again
until it has returned: so a hung volume costs one thread, and no more.
"""

import asyncio
from collections.abc import Callable

from holdfast import clock
from holdfast.config.volumes import DirectoryVolume
from holdfast.errors import HoldfastError
from holdfast.events import EventData
from holdfast.events.storage import VolumeActivated, VolumeRefused, VolumeReleased
from holdfast.storage_replication.drivers.base import Driver, VolumeProblem
from holdfast.storage_replication.epochs import Mark, refusal
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.slot import Slot, StillHanging
from holdfast.wire import Acknowledged, VolumeOrder

Emit = Callable[[EventData, VolumeOrder], str]


class Keeper:
    """A configured volume on this node. `emit` records an event caused by an order."""

    def __init__(
        self, volume: str, config: DirectoryVolume, driver: Driver, memory: Memory, emit: Emit
    ) -> None:
        self.volume, self.config = volume, config
        self._driver, self._memory, self._emit = driver, memory, emit
        self._turn = asyncio.Lock()
        self._access = Slot(f"access-{volume}")
        # Leaving a volume whose storage hangs must not wait for what hangs on it.
        self._leave = Slot(f"leave-{volume}")

    @property
    def remembered(self) -> Remembered:
        """What this node knows of the volume."""
        return self._memory.of(self.volume)

    async def order(self, order: VolumeOrder) -> Acknowledged:
        """Activate or release; a refusal is an answer, not an exception."""
        async with self._turn:
            if order.action == "activate":
                return await self._activate(order)
            return await self._release(order)

    async def probe(self) -> str:
        """Why the active volume fails its probe; empty if it passes."""
        async with self._turn:
            return await self._probe(self.remembered.mark)

    async def _probe(self, mark: Mark) -> str:
        return await self._attempt(self._access, lambda: self._driver.probe(mark))

    async def _activate(self, order: VolumeOrder) -> Acknowledged:
        began = clock.monotonic()
        known = self.remembered
        wanted = Mark(epoch=order.epoch, node=order.node, boot=order.boot)
        if problem := refusal(known.mark, wanted):
            return self._refuse(order, problem)
        if known.mark == wanted and known.active and not await self._probe(wanted):
            return Acknowledged(ok=True)
        try:
            # Before the volume: an epoch we may have shown to it must never be forgotten by us.
            self._memory.store(self.volume, Remembered(mark=wanted))
            problem = await self._attempt(self._access, lambda: self._driver.activate(wanted))
            if problem:
                return self._refuse(order, problem)
            self._memory.store(self.volume, Remembered(mark=wanted, active=True))
        except HoldfastError as error:
            return self._refuse(order, error.problem)
        data = VolumeActivated(
            volume=self.volume,
            node=order.node,
            epoch=order.epoch,
            driver=self._driver.name,
            took=clock.monotonic() - began,
        )
        return Acknowledged(ok=True, event=self._emit(data, order))

    async def _release(self, order: VolumeOrder) -> Acknowledged:
        known = self.remembered
        if order.epoch < known.mark.epoch and known.active:
            problem = f"epoch {order.epoch} is past: it is active at epoch {known.mark.epoch}"
            return self._refuse(order, problem)
        if not known.active:
            return Acknowledged(ok=True)
        if problem := await self._attempt(self._leave, self._driver.release):
            return Acknowledged(ok=False, error=problem)
        try:
            self._memory.store(self.volume, Remembered(mark=known.mark))
        except HoldfastError as error:
            return Acknowledged(ok=False, error=error.problem)
        data = VolumeReleased(volume=self.volume, node=order.node, epoch=known.mark.epoch)
        return Acknowledged(ok=True, event=self._emit(data, order))

    async def _attempt(self, slot: Slot, work: Callable[[], None]) -> str:
        """Run blocking work with the configured deadline. Returns the problem, or ""."""
        try:
            await slot.run(work, self.config.probe_deadline)
        except StillHanging:
            return "an earlier access still hangs: its storage does not answer"
        except TimeoutError:
            return f"no answer from its storage within {self.config.probe_deadline:g} s"
        except VolumeProblem as error:
            return str(error)[:1000]
        except OSError as error:
            return f"{error.filename or self.config.path}: {error.strerror or error}"[:1000]
        return ""

    def _refuse(self, order: VolumeOrder, reason: str) -> Acknowledged:
        data = VolumeRefused(
            volume=self.volume, node=order.node, epoch=order.epoch, reason=reason[:1000]
        )
        return Acknowledged(ok=False, error=reason[:1000], event=self._emit(data, order))
