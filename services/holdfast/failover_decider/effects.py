"""Carrying out what the core asks for; what comes of it goes back into the core."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from holdfast import subjects
from holdfast.bus import BusError, BusTimeout
from holdfast.bus_errors import Conflict
from holdfast.failover_decider.buckets import Buckets
from holdfast.failover_decider.fence_runs import FenceRuns
from holdfast.failover_decider.messages import (
    Answer,
    AskVoters,
    BucketsChecked,
    Effect,
    Emit,
    Input,
    MoveStreamLeaders,
    OrderAnswered,
    PrepareStreams,
    Reject,
    RunFence,
    SendOrder,
    StandingWritten,
    TellHands,
    VoteReceived,
    Write,
    WriteDone,
    WriteStanding,
)
from holdfast.failover_decider.state import State
from holdfast.failover_decider.voter_store import VoterStoreError
from holdfast.service import Runtime
from holdfast.store import OwnershipStore, move_stream_leaders
from holdfast.streams import BucketsLost
from holdfast.wire import Begun, LeaseReply, OrderReply, Refused, Vote

VOTE_TIMEOUT = 1.0
ORDER_TIMEOUT = 1.0
WRITE_TIMEOUT = 3.0
STREAMS_AGAIN = 0.5
BUCKETS_AGAIN = 5.0
"""Seconds until it is looked whether an operator has seen to lost buckets."""
_log = logging.getLogger("holdfast.decider")


class Effects:
    """The decider's side effects. Each has a deadline; none holds up the core."""

    def __init__(
        self,
        runtime: Runtime,
        store: OwnershipStore,
        fences: FenceRuns,
        buckets: Buckets,
        state: Callable[[], State],
        feed: Callable[[Input], None],
    ) -> None:
        self._rt, self._store, self._fences = runtime, store, fences
        self._buckets, self._preparing = buckets, False
        self._state, self._feed = state, feed
        self.answers: dict[int, Begun | Refused] = {}
        """Replies to operators by the number of their request, until they are taken."""

    def start(self, effect: Effect) -> None:
        """Do it, or begin to. Raises SpoolError when an event cannot be recorded."""
        match effect:
            case Answer(number, reply):
                self.answers[number] = reply
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
            self._feed(VoteReceived(reply))

    async def _write(self, effect: Write) -> None:
        record, revision = effect.record, effect.revision
        try:
            written = await self._store.compare_and_set(record, revision, timeout=WRITE_TIMEOUT)
        except Conflict:
            self._feed(WriteDone(record, "conflict"))
        except BusTimeout:
            self._feed(WriteDone(record, "unknown"))
        except BusError as error:
            _log.warning("ownership of %s not written: %s", record.group, error)
            self._feed(WriteDone(record, "conflict"))
        else:
            self._feed(WriteDone(record, "written", written))

    async def _write_standing(self, effect: WriteStanding) -> None:
        standing, revision = effect.standing, effect.revision
        try:
            written = await self._store.set_standing(standing, revision, timeout=WRITE_TIMEOUT)
        except BusTimeout:
            self._feed(StandingWritten(standing, "unknown"))
        except BusError as error:
            _log.warning("standing orders not written: %s", error)
            self._feed(StandingWritten(standing, "conflict"))
        else:
            self._feed(StandingWritten(standing, "written", written))

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
            self._feed(OrderAnswered(effect.order, reply))

    async def _prepare_streams(self) -> None:
        if self._preparing:
            return
        self._preparing = True
        try:
            while self._state().leading and not await self._prepared():
                pass
        finally:
            self._preparing = False

    async def _prepared(self) -> bool:
        """Whether all is there; after a pause, if not. What was lost is told to the core."""
        pause = STREAMS_AGAIN
        try:
            await self._buckets.ensure(len(self._rt.cluster.places()))
        except BucketsLost as error:
            self._feed(BucketsChecked(f"{error.place}: {error.problem}; {error.cure}"))
            pause = BUCKETS_AGAIN
        except (BusError, VoterStoreError) as error:
            _log.warning("streams not ready yet: %s", error)
        else:
            self._feed(BucketsChecked())
            return True
        await asyncio.sleep(pause)
        return False

    async def _move_stream_leaders(self, away_from: frozenset[str]) -> None:
        try:
            await move_stream_leaders(self._rt.bus, set(away_from))
        except BusError as error:
            _log.warning("stream leaders stay where they are: %s", error)
