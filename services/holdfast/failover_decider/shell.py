"""The decider's shell: feeds the core what happens and carries out what follows."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, assert_never

from holdfast import clock, subjects
from holdfast.bus import BusError, BusTimeout
from holdfast.bus_errors import Conflict
from holdfast.events import Health, Layer
from holdfast.events.fields import service_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.calendar import open_windows
from holdfast.failover_decider.fence_runs import FenceRuns
from holdfast.failover_decider.inputs.codec import Snapshot, pack
from holdfast.failover_decider.inputs.recorder import Recorder, inputs_signal
from holdfast.failover_decider.messages import (
    Answer,
    AskVoters,
    Effect,
    Emit,
    FenceAsked,
    GroupAsked,
    Input,
    LeadAsked,
    MoveStreamLeaders,
    OrderAnswered,
    PrepareStreams,
    PulseHeard,
    Recording,
    RecordSeen,
    RecordsLoaded,
    RecordSpoiled,
    Reject,
    RunFence,
    SendOrder,
    StandingAsked,
    StandingSeen,
    StandingWritten,
    TellHands,
    Tick,
    VoteReceived,
    Windows,
    Write,
    WriteDone,
    WriteStanding,
)
from holdfast.failover_decider.state import initial
from holdfast.failover_decider.status import status
from holdfast.failover_decider.voter import Voter
from holdfast.service import Runtime
from holdfast.signed_word import WordError, verify
from holdfast.spool import SpoolError
from holdfast.standing import Standing
from holdfast.store import OwnershipStore, ensure_streams, move_stream_leaders
from holdfast.wire import (
    AdminRequest,
    Begun,
    ClearRequest,
    FenceRequest,
    GroupRequest,
    LeadRequest,
    LeaseReply,
    MaintenanceRequest,
    OrderReply,
    Pulse,
    Refused,
    SnapshotReply,
    SnapshotRequest,
    StatusReply,
    StatusRequest,
    Vote,
)

TICK = 0.1
VOTE_TIMEOUT = 1.0
ORDER_TIMEOUT = 1.0
WRITE_TIMEOUT = 3.0
STREAMS_AGAIN = 0.5
RECORD_AGAIN = 2.0
MEGABYTE = 1024 * 1024
_log = logging.getLogger("holdfast.decider")


class Decider:
    """One decider on one place."""

    def __init__(self, runtime: Runtime) -> None:
        self._rt = runtime
        self._state = initial(
            runtime.cluster, runtime.timing, runtime.place, runtime.boot, clock.monotonic()
        )
        self._record_again_at = 0.0
        self._numbers = itertools.count(1)
        self._answers: dict[int, Begun | Refused] = {}
        self._fences = FenceRuns(runtime.cluster, lambda: self._state, self.feed)
        self._store = OwnershipStore(runtime.bus)
        self._recorder = Recorder(
            runtime.state / "inputs",
            max_bytes=runtime.cluster.audit.inputs_megabytes * MEGABYTE,
            say=self._say_of_inputs,
        )
        self._voter = Voter(runtime.bus, runtime.place, runtime.state, runtime.timing, self.feed)

    async def run(self) -> None:
        """Vote, listen and decide until the service is stopped."""
        recording = self._rt.spawn(self._recorder.run(), "inputs")
        try:
            await self._serve()
        finally:
            recording.cancel()
            await self._recorder.close()

    async def _serve(self) -> None:
        bus = self._rt.bus
        await self._voter.serve()
        self._rt.paths.start(self._rt.spawn)
        await self._rt.paths.hear(self._on_pulse)
        await bus.serve(subjects.admin("decider"), AdminRequest, self._on_admin)
        self._rt.spawn(self._fences.check_devices(), "check fence devices")
        self._rt.spawn(self._voter.learn(self._rt.cluster.cluster.voters), "learn")
        self._rt.spawn(
            self._store.watch(
                self._on_record, self._on_loaded, self._on_spoiled, self._on_standing
            ),
            "watch",
        )
        while not self._rt.stopping.is_set():
            self._look_at_the_calendar()
            self.feed(Tick())
            self._fences.end_overtaken()
            self._try_to_record()
            await asyncio.sleep(TICK)

    def _look_at_the_calendar(self) -> None:
        """The only use of wall time: windows that the cluster file names."""
        open_now = open_windows(self._rt.cluster, datetime.now(UTC))
        if open_now != self._state.windows:
            self.feed(Windows(open_now))

    def feed(self, happened: Input) -> None:
        """One step of the core, and the start of whatever follows from it."""
        self._state, effects = self._recorder.decide(self._state, happened, clock.monotonic())
        try:
            for effect in effects:
                self._start(effect)
        except SpoolError as error:
            self._cannot_record(error)

    def _say_of_inputs(self, problem: str) -> None:
        """Put on the record that inputs are recorded no more, or again. No reason to fail."""
        entity = service_entity(self._rt.place, self._rt.service)
        with contextlib.suppress(SpoolError):
            self._rt.emit(inputs_signal(self._rt.place, problem), entity=entity)

    def _cannot_record(self, error: SpoolError) -> None:
        """What cannot be recorded is not done: the rest of the step is dropped, we step down."""
        if self._state.recording:
            _log.critical("this decider leaves the lead to others, and only votes: %s", error)
        self._record_again_at = clock.monotonic() + RECORD_AGAIN
        if self._state.recording:
            self.feed(Recording(possible=False))

    def _try_to_record(self) -> None:
        """Whether events can be recorded again is found out by recording that they can."""
        if self._state.recording or clock.monotonic() < self._record_again_at:
            return
        entity = service_entity(self._rt.place, self._rt.service)
        try:
            self._rt.emit(
                HealthSignal(
                    layer=Layer.STORAGE,
                    node=self._rt.place,
                    observer=self._rt.place,
                    probe="spool",
                    state=Health.OK,
                    previous=Health.FAILED,
                    reason="events can be recorded again; this decider may lead again",
                ),
                entity=entity,
            )
        except SpoolError as error:
            self._cannot_record(error)
        else:
            self.feed(Recording(possible=True))

    def _start(self, effect: Effect) -> None:
        match effect:
            case Answer(number, reply):
                self._answers[number] = reply
            case Reject(subject, kind, reason):
                self._rt.rejects.reject(subject, kind, reason)
            case Emit(draft):
                self._rt.outbox.emit(draft)
            case AskVoters(request):
                for voter in self._rt.cluster.cluster.voters:
                    self._spawn(self._ask(voter, request), f"ask {voter}")
            case Write():
                self._spawn(self._write(effect), f"write {effect.record.group}")
            case WriteStanding():
                self._spawn(self._write_standing(effect), "write standing orders")
            case TellHands():
                self._spawn(self._tell(effect), f"tell {effect.suspend.node}")
            case RunFence():
                self._spawn(self._fences.carry_out(effect), f"fence {effect.node}")
            case SendOrder():
                self._spawn(self._order(effect), f"order {effect.order.node}")
            case PrepareStreams():
                self._spawn(self._prepare_streams(), "streams")
            case MoveStreamLeaders(away_from):
                self._spawn(self._move_stream_leaders(away_from), "stream leaders")
            case _:
                assert_never(effect)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._rt.spawn(work, name)

    async def _ask(self, voter: str, request: Any) -> None:
        try:
            reply = await self._rt.paths.ask(voter, request, LeaseReply, timeout=VOTE_TIMEOUT)
        except BusError:
            return  # no vote; the next round asks again
        if isinstance(reply, Vote) and reply.voter == voter:
            self.feed(VoteReceived(reply))

    async def _write(self, effect: Write) -> None:
        record, revision = effect.record, effect.revision
        try:
            written = await self._store.compare_and_set(record, revision, timeout=WRITE_TIMEOUT)
        except Conflict:
            self.feed(WriteDone(record, "conflict"))
        except BusTimeout:
            self.feed(WriteDone(record, "unknown"))
        except BusError as error:
            _log.warning("ownership of %s not written: %s", record.group, error)
            self.feed(WriteDone(record, "conflict"))
        else:
            self.feed(WriteDone(record, "written", written))

    async def _write_standing(self, effect: WriteStanding) -> None:
        standing, revision = effect.standing, effect.revision
        try:
            written = await self._store.set_standing(standing, revision, timeout=WRITE_TIMEOUT)
        except BusTimeout:
            self.feed(StandingWritten(standing, "unknown"))
        except BusError as error:
            _log.warning("standing orders not written: %s", error)
            self.feed(StandingWritten(standing, "conflict"))
        else:
            self.feed(StandingWritten(standing, "written", written))

    async def _tell(self, effect: TellHands) -> None:
        with contextlib.suppress(BusError):  # told again in two seconds
            subject = subjects.command(effect.suspend.node, "recovery")
            await self._rt.bus.publish(subject, effect.suspend)

    async def _order(self, effect: SendOrder) -> None:
        subject = subjects.command(effect.order.node, "recovery")
        try:
            reply = await self._rt.bus.request(
                subject, effect.order, OrderReply, timeout=ORDER_TIMEOUT
            )
        except BusError:
            return  # sent again until answered or overdue
        if reply.intent == effect.order.intent:
            self.feed(OrderAnswered(effect.order, reply))

    async def _prepare_streams(self) -> None:
        while self._state.leading:
            try:
                await ensure_streams(self._rt.bus)
                return
            except BusError as error:
                _log.warning("streams not ready yet: %s", error)
                await asyncio.sleep(STREAMS_AGAIN)

    async def _move_stream_leaders(self, away_from: frozenset[str]) -> None:
        try:
            await move_stream_leaders(self._rt.bus, set(away_from))
        except BusError as error:
            _log.warning("stream leaders stay where they are: %s", error)

    def _on_pulse(self, pulse: Pulse) -> None:
        self.feed(PulseHeard(pulse))

    def _on_record(self, record: Any, revision: int) -> None:
        self.feed(RecordSeen(record, revision))

    def _on_spoiled(self, group: str, revision: int) -> None:
        self.feed(RecordSpoiled(group, revision))

    def _on_standing(self, standing: Standing | None, revision: int) -> None:
        self.feed(StandingSeen(standing, revision))

    def _on_loaded(self) -> None:
        self.feed(RecordsLoaded())

    async def _on_admin(
        self, request: AdminRequest
    ) -> StatusReply | Begun | Refused | SnapshotReply | None:
        if isinstance(request, SnapshotRequest):
            if request.place != self._rt.place:
                return None  # the decider meant answers
            return pack(Snapshot(state=self._state, voter=self._voter.state, now=clock.monotonic()))
        if not self._state.leading:
            return None  # whoever leads answers
        match request:
            case StatusRequest():
                return status(self._state, clock.monotonic())
            case GroupRequest():
                number = next(self._numbers)
                return self._answer(number, GroupAsked(number, request))
            case MaintenanceRequest() | ClearRequest():
                number = next(self._numbers)
                return self._answer(number, StandingAsked(number, request))
            case FenceRequest():
                try:
                    name = self._rt.cluster.cluster.name
                    verify(request, cluster=name, secrets=self._rt.secrets)
                except WordError as error:
                    self._rt.rejects.reject(subjects.admin("decider"), "forged", str(error)[:900])
                    return Refused(reason=f"{error.problem}: {error.cure}")
                number = next(self._numbers)
                return self._answer(number, FenceAsked(number, request))
            case LeadRequest(place=place) if place not in self._rt.cluster.cluster.voters:
                return Refused(reason=f"{place} is not a voter of this cluster")
            case LeadRequest():
                reply = status(self._state, clock.monotonic())
                self.feed(LeadAsked(request))
                return reply

    def _answer(self, number: int, asked: Input) -> Begun | Refused:
        self.feed(asked)
        return self._answers.pop(number, Refused(reason="it cannot be recorded here"))


async def main(runtime: Runtime) -> None:
    """The service's main function."""
    await Decider(runtime).run()
