"""One replicated volume on this node: orders from recovery, questions of the data path."""

import asyncio
import logging
from collections.abc import Callable

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.events.storage import (
    VolumeActivated,
    VolumeDataPathEnded,
    VolumeRefused,
    VolumeReleased,
)
from holdfast.stopping import end
from holdfast.storage_replication.control import Ask, Happened, Lease, State
from holdfast.storage_replication.epochs import Mark, refusal
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.replicated.asks import Asks
from holdfast.storage_replication.replicated.happened import tell
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.pulse import lacking
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports, Trail
from holdfast.storage_replication.replicated.role import Role, broken
from holdfast.storage_replication.replicated.roster import Roster
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.storage_replication.replicated.tenancy import Tenancy
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import VolumeRecord
from holdfast.wire import Acknowledged, VolumeOrder
from holdfast.wire.volumes import NodeLease

RESUME_AGAIN = 2.0
_log = logging.getLogger("holdfast.storage")


class Agent:
    """Of one volume of which this node has a copy."""

    def __init__(
        self, place: Place, boot: str, register: Register, memory: Memory, reports: Reports
    ) -> None:
        self.place, self.volume = place, place.volume
        self._boot, self.register, self._memory = boot, register, memory
        self.reports = reports
        self._turn = asyncio.Lock()
        self._tenancy = Tenancy(self.volume, register, memory, self._turn, self._pass_on)
        self._end_said = False
        self._unserved = ""
        """Why what is active here was not served again; empty: it is, or nothing is active."""
        self.changed: Callable[[], None] = lambda: None
        self._again = asyncio.Event()
        self.paths = Supervisor(
            place, register, self._told, self._resume, self._ended, self._unable
        )
        self._role = Role(place, register, self.paths, reports, lambda: self._tenancy.valid_until)
        self._asks = Asks(self)
        self.roster = Roster(place, register, self.paths)

    @property
    def record(self) -> VolumeRecord | None:
        """As it was seen last."""
        return self.register.record(self.volume)

    async def run(self) -> None:
        """Until cancelled; the data path goes on (I10). Raises what any part does: one that ended
        unseen would answer nobody any more."""
        parts = (self._asks.run(), self._tenancy.run(), self.roster.run(), self._resume_again())
        tasks = [asyncio.create_task(one) for one in (self.paths.run(), *parts)]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in ended:
                one.result()
        finally:
            await end(*tasks)

    def lease(self, lease: NodeLease) -> None:
        """Recovery renewed this node's lease."""
        self._tenancy.renew(lease)

    def _pass_on(self) -> None:
        epoch = self._memory.of(self.volume).mark.epoch
        # A data path may not know yet that what it serves was released.
        if self.paths.client is not None and self._serves(epoch):
            lease = Lease(epoch=epoch, valid_until=self._tenancy.valid_until)
            self.paths.client.say(lease)

    async def order(self, order: VolumeOrder) -> Acknowledged:
        """Activate or release; a refusal is an answer, not an exception."""
        async with self._turn:
            try:
                if order.action == "activate":
                    return await self._activate(order)
                return await self._release(order)
            except HoldfastError as error:
                return self._refuse(order, error.problem)

    # Orders.

    async def _activate(self, order: VolumeOrder) -> Acknowledged:
        began = clock.monotonic()
        known = self._memory.of(self.volume)
        wanted = Mark(epoch=order.epoch, node=order.node, boot=order.boot)
        if problem := refusal(known.mark, wanted):
            return self._refuse(order, problem)
        if known.active and known.mark == wanted and self._serves(order.epoch):
            await self._tenancy.confirm()
            return Acknowledged(ok=True)
        self._memory.store(self.volume, Remembered(mark=wanted))
        trail = Trail(order.incident, order.cause)
        await self._take(wanted, trail)
        data = VolumeActivated(
            volume=self.volume,
            node=order.node,
            epoch=order.epoch,
            driver="replicated",
            took=clock.monotonic() - began,
        )
        self.changed()
        return Acknowledged(ok=True, event=self.reports.say(self.volume, data, trail))

    async def _take(self, mark: Mark, trail: Trail | None) -> None:
        since = self._tenancy.since
        self._asks.void()
        await self._role.take(mark.epoch, trail)
        self._memory.store(self.volume, Remembered(mark=mark, active=True, since=since))
        self._unserved = ""
        self._pass_on()

    def _serves(self, epoch: int) -> bool:
        state = self.paths.state
        return state is not None and (state.role, state.epoch) == ("primary", epoch)

    async def _release(self, order: VolumeOrder) -> Acknowledged:
        known = self._memory.of(self.volume)
        if order.epoch < known.mark.epoch and known.active:
            problem = f"epoch {order.epoch} is past: it is active at epoch {known.mark.epoch}"
            return self._refuse(order, problem)
        complete = await self._role.leave()
        self._unserved = ""
        if not known.active:
            return Acknowledged(ok=True)
        trail = Trail(order.incident, order.cause)
        await self._role.complete(known.mark.epoch, complete, trail)
        self._memory.store(self.volume, Remembered(mark=known.mark))
        if self.paths.state is None:
            self.reports.forget(self.volume)  # no data path will say that it is well again
        data = VolumeReleased(volume=self.volume, node=order.node, epoch=known.mark.epoch)
        self.changed()
        return Acknowledged(ok=True, event=self.reports.say(self.volume, data, trail))

    # From the data path.

    def _told(self, message: State | Ask | Happened) -> None:
        match message:
            case Ask():
                self._asks.take(message)
            case Happened():
                tell(self.reports, self.volume, self.place.node, message)
                self.changed()
            case State():
                self._look(message)
                self.roster.look()

    def _look(self, state: State) -> None:
        record = self.record
        problem = broken(state)
        problem = problem or self._unserved or self._tenancy.problem or state.frozen
        self.reports.own(self.volume, state.epoch, problem)
        if state.role == "primary" and record is not None and record.epoch == state.epoch:
            for name in record.members:
                if name != self.place.node:
                    lacks = lacking(record, name, state.members.get(name))
                    self.reports.member(self.volume, state.epoch, name, lacks)
            self.reports.only_members(self.volume, state.epoch, record.members)
            self._asks.look(record, state)
        else:
            self.reports.forget_members(self.volume)

    def _ended(self, reason: str) -> None:
        self._end_said = True
        epoch = self._memory.of(self.volume).mark.epoch
        data = VolumeDataPathEnded(
            volume=self.volume, node=self.place.node, epoch=epoch, reason=reason[:1000]
        )
        self.reports.say(self.volume, data, None)
        self.changed()

    def _unable(self, problem: str) -> None:
        """Again and again no data path could be started; the signal says so if one is needed."""
        known = self._memory.of(self.volume)
        if known.active and known.mark.boot == self._boot:
            self.reports.own(self.volume, known.mark.epoch, f"not served: {problem}")

    async def _resume_again(self) -> None:
        """What could not be served again for want of the record may be, a little later."""
        while True:
            await self._again.wait()
            self._again.clear()
            await asyncio.sleep(RESUME_AGAIN)
            if self._unserved and self.paths.client is not None:
                await self._resume(again=True)

    async def _resume(self, *, again: bool = False) -> None:
        """A data path that died comes back in the role it had. `again`: the same, once more."""
        async with self._turn:
            known = self._memory.of(self.volume)
            mine = known.active and known.mark.boot == self._boot
            said, self._end_said = self._end_said, False
            if not mine or self._serves(known.mark.epoch):
                return
            if not (said or again):
                self._ended("while no storage service ran here")
                self._end_said = False
            try:
                await self._take(known.mark, None)
            except HoldfastError as error:
                _log.error("volume %s is not served again: %s", self.volume, error)
                self._unserved = f"not served again: {error.problem}"
                if not isinstance(error, ChangeRefused):
                    self._again.set()

    # What others say.

    def recorded(self, record: VolumeRecord) -> None:
        """The record is seen anew. A membership that it names no more has nothing to run for.

        Removed and added again, perhaps in one look, is another membership.
        """
        self.changed()
        self.roster.look()
        client, member = self.paths.client, record.members.get(self.place.node)
        if client is not None and (member is None or not member.instance):
            client.close()

    def _refuse(self, order: VolumeOrder, reason: str) -> Acknowledged:
        if order.action == "release":
            return Acknowledged(ok=False, error=reason[:1000])
        data = VolumeRefused(
            volume=self.volume, node=order.node, epoch=order.epoch, reason=reason[:1000]
        )
        event = self.reports.say(self.volume, data, Trail(order.incident, order.cause))
        return Acknowledged(ok=False, error=reason[:1000], event=event)
