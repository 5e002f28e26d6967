"""The decider's shell: feeds the core what happens, and its effects what follows."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import Any

from holdfast import clock, subjects
from holdfast.events import Health, Layer
from holdfast.events.fields import service_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.admin import Admin
from holdfast.failover_decider.buckets import BucketMemory, Buckets
from holdfast.failover_decider.calendar import open_windows
from holdfast.failover_decider.effects import Effects
from holdfast.failover_decider.fence_runs import FenceRuns
from holdfast.failover_decider.inputs.recorder import Recorder, inputs_signal
from holdfast.failover_decider.leadership import votes
from holdfast.failover_decider.messages import (
    Input,
    PulseHeard,
    Recording,
    RecordSeen,
    RecordsLoaded,
    RecordSpoiled,
    StandingSeen,
    Tick,
    Windows,
)
from holdfast.failover_decider.state import initial
from holdfast.failover_decider.voter import Voter
from holdfast.service import Runtime
from holdfast.spool import SpoolError
from holdfast.standing import Standing
from holdfast.store import OwnershipStore
from holdfast.wire import (
    AdminRequest,
    Pulse,
)

TICK = 0.1
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
        self._fences = FenceRuns(runtime.cluster, lambda: self._state, self.feed)
        self._store = OwnershipStore(runtime.bus)
        self._recorder = Recorder(
            runtime.state / "inputs",
            max_bytes=runtime.cluster.audit.inputs_megabytes * MEGABYTE,
            say=self._say_of_inputs,
        )
        memory = BucketMemory(runtime.state)
        self._voter = Voter(
            runtime.bus,
            runtime.place,
            runtime.state,
            runtime.timing,
            runtime.cluster.cluster.voters,
            self.feed,
            runtime.rejects.reject,
            lambda: memory.known,
        )
        voters = len(runtime.cluster.cluster.voters)
        self._buckets = Buckets(runtime.bus, memory, self._voter.ask_others, voters)
        self._effects = Effects(
            runtime, self._store, self._fences, self._buckets, lambda: self._state, self.feed
        )
        self._admin = Admin(
            runtime, self._voter, lambda: self._state, self.feed, self._effects.answers
        )

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
        self._say_whose_votes()
        if not votes(self._state):
            _log.info("this place has no vote: it never leads, and nobody asks it")
        self._rt.paths.start(self._rt.spawn)
        await self._rt.paths.hear(self._on_pulse)
        await bus.serve(subjects.admin("decider"), AdminRequest, self._admin.asked)
        self._rt.spawn(self._fences.check_devices(), "check fence devices")
        self._rt.spawn(self._voter.learn(), "learn")
        self._rt.spawn(self._buckets.remember(), "buckets")
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
                self._effects.start(effect)
        except SpoolError as error:
            self._cannot_record(error)

    def _say_whose_votes(self) -> None:
        """A cluster file with other voters than those among whom this one votes is a signal."""
        if not self._voter.misled:
            return
        _log.error("%s", self._voter.misled)
        signal = HealthSignal(
            layer=Layer.NETWORK,
            node=self._rt.place,
            observer=self._rt.place,
            probe="voters",
            state=Health.FAILED,
            previous=Health.UNKNOWN,
            reason=self._voter.misled[:1000],
        )
        with contextlib.suppress(SpoolError):
            self._rt.emit(signal, entity=service_entity(self._rt.place, self._rt.service))

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


async def main(runtime: Runtime) -> None:
    """The service's main function."""
    await Decider(runtime).run()
