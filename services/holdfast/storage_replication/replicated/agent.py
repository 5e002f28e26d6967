"""One replicated volume on this node: orders from recovery, questions of the data path.

The record comes first, always: nothing is told to the data path that the record does not say.
"""

import asyncio
import logging
from collections.abc import Callable

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.events import EventData
from holdfast.events.storage import (
    VolumeActivated,
    VolumeDataPathEnded,
    VolumeLossAccepted,
    VolumeRefused,
    VolumeReleased,
    VolumeSetChanged,
)
from holdfast.storage_replication.control import Ask, Demote, Happened, Lease, Promote, State
from holdfast.storage_replication.epochs import Mark, refusal
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.asks import Asks
from holdfast.storage_replication.replicated.client import DataPathFailed
from holdfast.storage_replication.replicated.happened import tell
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.presence import answering
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.pulse import lacking
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports, Trail
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.storage_replication.replicated.transitions import ChangeRefused, Promoted
from holdfast.volumes import VolumeRecord
from holdfast.wire import Acknowledged, VolumeOrder

CHANGE_WITHIN = 8.0
"""Seconds: a change of JetStream's leader may take that long."""
PROMOTE_WITHIN = 20.0
DEMOTE_WITHIN = 6.0
COMPLETE_WITHIN = 3.0
READY_WITHIN = 3.0
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
        self._valid_until = 0.0
        self._end_said = False
        self.changed: Callable[[], None] = lambda: None
        self.paths = Supervisor(place, register, self._told, self._resume, self._ended)
        self._asks = Asks(self)

    @property
    def record(self) -> VolumeRecord | None:
        """As it was seen last."""
        return self.register.record(self.volume)

    async def run(self) -> None:
        """Until cancelled; the data path goes on (I10)."""
        asks = asyncio.create_task(self._asks.run())
        try:
            await self.paths.run()
        finally:
            asks.cancel()
            await asyncio.gather(asks, return_exceptions=True)

    def lease(self, valid_until: float) -> None:
        """This node's lease lasts until then; an end that is known already is not taken back."""
        self._valid_until = max(self._valid_until, valid_until)
        state = self.paths.state
        if self.paths.client is not None and state is not None and state.role == "primary":
            self.paths.client.say(Lease(epoch=state.epoch, valid_until=self._valid_until))

    async def order(self, order: VolumeOrder) -> Acknowledged:
        """Activate or release; a refusal is an answer, not an exception."""
        async with self._turn:
            try:
                if order.action == "activate":
                    return await self._activate(order)
                return await self._release(order)
            except HoldfastError as error:
                return self._refuse(order, error.problem)

    # Becoming the primary.

    async def _activate(self, order: VolumeOrder) -> Acknowledged:
        began = clock.monotonic()
        known = self._memory.of(self.volume)
        wanted = Mark(epoch=order.epoch, node=order.node, boot=order.boot)
        if problem := refusal(known.mark, wanted):
            return self._refuse(order, problem)
        if known == Remembered(mark=wanted, active=True) and self._serves(order.epoch):
            return Acknowledged(ok=True)
        self._memory.store(self.volume, Remembered(mark=wanted))
        trail = Trail(order.incident, order.cause)
        await self.promote(order.epoch, trail)
        self._memory.store(self.volume, Remembered(mark=wanted, active=True))
        data = VolumeActivated(
            volume=self.volume,
            node=order.node,
            epoch=order.epoch,
            driver="replicated",
            took=clock.monotonic() - began,
        )
        self.changed()
        return Acknowledged(ok=True, event=self.reports.say(self.volume, data, trail))

    def _serves(self, epoch: int) -> bool:
        state = self.paths.state
        return state is not None and (state.role, state.epoch) == ("primary", epoch)

    async def promote(self, epoch: int, trail: Trail | None) -> None:
        """First the record, then the data path. Raises HoldfastError: it is no primary then."""
        state = await self._healthy()
        present = await answering(self.place, self.record)
        found: list[tuple[VolumeRecord, Promoted]] = []
        led = (state.epoch, state.primary) == (epoch, self.place.node)

        def transition(record: VolumeRecord) -> VolumeRecord:
            if state.resyncing and self.place.node not in record.in_sync:
                raise ChangeRefused(
                    "its resync is not complete: the data is between two states",
                    place=f"volume {self.volume}",
                    cure=f"let it end; else `holdfast volume fallback {self.volume}` goes back to "
                    "the last consistent state, if nobody has a newer one",
                )
            if led and not state.intact:
                transitions.go_on(record, self.place.node)
            own = transitions.promote(
                record,
                self.place.node,
                epoch,
                present,
                self.place.max_lag(),
                asynchronous=self.place.config.mode == "async",
            )
            found.append((record, own))
            return own.record

        record = await self.register.change(self.volume, transition, within=CHANGE_WITHIN)
        # Of several attempts the first tells what was replaced, if one was that had no answer.
        replaced, first = found[-1] if found[-1][0].epoch < epoch else found[0]
        if replaced.epoch < epoch:
            self._say_promoted(record, trail)
        kept = epoch if led else first.kept_from
        client = self.paths.client
        if client is None:
            raise DataPathFailed(
                self.paths.problem, place=f"volume {self.volume}", cure="see its log"
            )
        await client.order(
            lambda number: Promote(
                id=number,
                epoch=epoch,
                counted=not record.loss,
                kept_from=kept,
                members=self.place.others(record),
                accept_loss=bool(record.loss),
                valid_until=self._valid_until,
                bounds=self.place.bounds(),
            ),
            within=PROMOTE_WITHIN,
        )
        self.lease(self._valid_until)

    async def _healthy(self) -> State:
        """The data path, ready to be told. Raises DataPathFailed."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self.paths.ready.wait()
        except TimeoutError:
            pass
        state = self.paths.state
        problem = self.paths.problem if state is None else _broken(state)
        if state is None or problem:
            raise DataPathFailed(
                problem,
                place=f"volume {self.volume} on {self.place.node}",
                cure=f"see {self.place.folder}",
            )
        return state

    def _say_promoted(self, record: VolumeRecord, trail: Trail | None) -> None:
        self.say_changed(record, "promoted", self.place.node, trail)
        if record.loss:
            data = VolumeLossAccepted(
                volume=self.volume, node=self.place.node, epoch=record.epoch, loss=record.loss
            )
            self.reports.say(self.volume, data, trail)

    # Giving it up.

    async def _release(self, order: VolumeOrder) -> Acknowledged:
        known = self._memory.of(self.volume)
        if order.epoch < known.mark.epoch and known.active:
            problem = f"epoch {order.epoch} is past: it is active at epoch {known.mark.epoch}"
            return self._refuse(order, problem)
        complete = await self._demote()
        if not known.active:
            return Acknowledged(ok=True)
        trail = Trail(order.incident, order.cause)
        await self._complete(known.mark.epoch, complete, trail)
        self._memory.store(self.volume, Remembered(mark=known.mark))
        data = VolumeReleased(volume=self.volume, node=order.node, epoch=known.mark.epoch)
        self.changed()
        return Acknowledged(ok=True, event=self.reports.say(self.volume, data, trail))

    async def _complete(self, epoch: int, members: list[str], trail: Trail) -> None:
        """Nothing is written any more, so async members that have everything are in sync: whoever
        is promoted next loses nothing. If it cannot be recorded, only an operator promotes them."""
        if not members:
            return
        node = self.place.node
        try:
            record = await self.register.change(
                self.volume,
                lambda now: transitions.complete(now, node, epoch, members),
                within=COMPLETE_WITHIN,
            )
        except HoldfastError as error:
            _log.warning("volume %s: %s has all, unrecorded: %s", self.volume, members, error)
            return
        for member in members:
            self.say_changed(record, "taken_in", member, trail)

    async def _demote(self) -> list[str]:
        """On return nothing is served here; the async members that have everything. Raises
        DataPathFailed if that is not sure."""
        client = self.paths.client
        if client is None:
            return []  # it does not run, or starts as a replica
        try:
            done = await client.order(
                lambda number: Demote(id=number, deadline=DEMOTE_WITHIN - 1.0),
                within=DEMOTE_WITHIN,
            )
            if done.warning:
                _log.warning("volume %s: %s", self.volume, done.warning)
            return done.complete
        except DataPathFailed as error:
            _log.error(
                "volume %s is not given up (%s): its data path is killed", self.volume, error
            )
            if not await kill(client.pid):
                raise
            return []

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

    def _look(self, state: State) -> None:
        record = self.record
        problem = _broken(state)
        self.reports.own(self.volume, state.epoch, problem or state.frozen)
        if state.role == "primary" and record is not None and record.epoch == state.epoch:
            for name in record.members:
                if name != self.place.node:
                    lacks = lacking(record, name, state.members.get(name))
                    self.reports.member(self.volume, state.epoch, name, lacks)
            self.reports.only_members(self.volume, state.epoch, record.members)
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

    async def _resume(self) -> None:
        """A data path that died comes back in the role it had."""
        async with self._turn:
            known = self._memory.of(self.volume)
            mine = known.active and known.mark.boot == self._boot
            said, self._end_said = self._end_said, False
            if not mine or self._serves(known.mark.epoch):
                return
            if not said:
                self._ended("while no storage service ran here")
                self._end_said = False
            try:
                await self.promote(known.mark.epoch, None)
            except HoldfastError as error:
                _log.error("volume %s is not served again: %s", self.volume, error)

    # What others say.

    def recorded(self, record: VolumeRecord) -> None:
        """The record is seen anew. A membership that it names no more has nothing to run for.

        Removed and added again, perhaps in one look, is another membership.
        """
        self.changed()
        client, member = self.paths.client, record.members.get(self.place.node)
        if client is not None and (member is None or not member.instance):
            client.close()

    def say_changed(
        self, record: VolumeRecord, change: str, member: str, trail: Trail | None
    ) -> str:
        """Record that the record was changed; the event's id."""
        return self.reports.say(
            self.volume, _changed(record, self.place.node, change, member), trail
        )

    def _refuse(self, order: VolumeOrder, reason: str) -> Acknowledged:
        if order.action == "release":
            return Acknowledged(ok=False, error=reason[:1000])
        data = VolumeRefused(
            volume=self.volume, node=order.node, epoch=order.epoch, reason=reason[:1000]
        )
        event = self.reports.say(self.volume, data, Trail(order.incident, order.cause))
        return Acknowledged(ok=False, error=reason[:1000], event=event)


def _broken(state: State) -> str:
    return f"its disk failed (errno {state.failed})" if state.failed else ""


def _changed(record: VolumeRecord, node: str, change: str, member: str) -> EventData:
    return VolumeSetChanged(
        volume=record.volume,
        node=node,
        epoch=record.epoch,
        change=change,  # type: ignore[arg-type]
        member=member,
        in_sync=record.in_sync,
        following=record.following,
        size=record.size,
    )
