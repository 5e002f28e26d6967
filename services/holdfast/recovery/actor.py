"""The shell around one group's core: one input, one effect, one action at a time."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import msgspec

from holdfast import clock, ids
from holdfast.recovery.core import decide
from holdfast.recovery.executor import Executor
from holdfast.recovery.journal import Journal, JournalError
from holdfast.recovery.messages import (
    ActionDone,
    Effect,
    Emit,
    Input,
    OrderReceived,
    Refuse,
    Reply,
    RunAction,
    Tick,
)
from holdfast.recovery.messages import Journal as StoreState
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.recorder import Recorder
from holdfast.recovery.state import GroupState
from holdfast.structs import replace
from holdfast.wire import GroupReport, OrderReply, WatchedResource

MAX_WAITING = 64
GIVE_UP_WITHIN = 5.0
STORE_AGAIN_AFTER = 1.0
MAX_LEFT = 64
"""Names in a report."""
_log = logging.getLogger("holdfast.recovery")
Answer = asyncio.Future[OrderReply]


class Inputs:
    """What waits for a group's core, in order."""

    def __init__(self) -> None:
        # Without a bound of its own: what must not be lost is at most one per action or lease end.
        self._queue: asyncio.Queue[tuple[Input, Answer | None]] = asyncio.Queue()

    @property
    def full(self) -> bool:
        """Whether others than the lease and the actions must come again later."""
        return self._queue.qsize() >= MAX_WAITING

    def tell(self, event: Input) -> None:
        """Add an input."""
        self._queue.put_nowait((event, None))

    async def ask(self, event: Input) -> OrderReply:
        """Add an input and wait for its answer."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((event, answer))
        return await answer

    async def next(self, timeout: float | None) -> tuple[Input, Answer | None]:
        """The oldest input, or a Tick after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._queue.get()
        except TimeoutError:
            return Tick(), None


class Actor:
    """One group. What it knows is in `state`; what is not on disk yet is told to nobody."""

    def __init__(
        self,
        plan: GroupPlan,
        state: GroupState,
        inputs: Inputs,
        executor: Executor,
        journal: Journal,
        recorder: Recorder,
        changed: Callable[[], None],
        suspended_until: Callable[[], float],
    ) -> None:
        """`changed` is called after each turn; `suspended_until`: see `core.decide`."""
        self.plan, self.state = plan, state
        self._executor, self._journal = executor, journal
        self._recorder, self._changed = recorder, changed
        self._suspended_until = suspended_until
        self._inputs = inputs
        self._action: asyncio.Task[None] | None = None
        self._problem = ""
        """Why the newest state is not on disk."""

    def tell(self, event: Input) -> None:
        """An input that must not be lost."""
        self._inputs.tell(event)

    def hint(self, event: Input) -> None:
        """An input that is repeated anyway; dropped when many wait."""
        if not self._inputs.full:
            self._inputs.tell(event)

    async def order(self, event: OrderReceived) -> OrderReply | None:
        """The answer to an order; None (no answer, ask again) when too many inputs wait."""
        return None if self._inputs.full else await self._inputs.ask(event)

    def report(self) -> GroupReport:
        """What the pulse says. What is not stored is not said: a crash would take it back."""
        state = self.state
        return GroupReport(
            group=self.plan.group,
            epoch=state.epoch,
            state="unknown" if self._problem else state.phase,
            reason=self._problem or state.reason,
            event=state.event,
            incident=state.incident,
            left=self._left(),
        )

    def _left(self) -> list[str]:
        """What of the retired resources was not seen to be stopped."""
        retired, resource = sorted(self.plan.retired), self.state.resource
        return [name for name in retired if resource(name).state != "stopped"][:MAX_LEFT]

    def watched(self) -> list[WatchedResource]:
        """The resources the monitor must observe."""
        return [
            WatchedResource(
                group=self.plan.group, resource=name, instance=known.instance, pid=known.pid
            )
            for name, known in self.state.resources.items()
            if known.state == "running"
        ]

    async def run(self) -> None:
        """Work until cancelled. Being cancelled gives up the action in flight, no workload."""
        try:
            while True:
                event, answer = await self._next()
                try:
                    await self._turn(event, answer)
                finally:
                    if answer is not None and not answer.done():
                        answer.cancel()
        finally:
            await self._give_up_action()

    async def _next(self) -> tuple[Input, Answer | None]:
        wake_at = self.state.wake_at()
        wait = None if wake_at is None else max(0.0, wake_at - clock.monotonic())
        if self._problem:
            wait = STORE_AGAIN_AFTER if wait is None else min(wait, STORE_AGAIN_AFTER)
        return await self._inputs.next(wait)

    async def _turn(self, event: Input, answer: Answer | None) -> None:
        self.state, effects = decide(
            self.plan,
            self.state,
            event,
            clock.monotonic(),
            ids.uuid7,
            self._suspended_until(),
        )
        if self._problem:
            await self._store(self.state)
        for effect in effects:
            await self._carry_out(effect, answer)
        self._changed()

    async def _carry_out(self, effect: Effect, answer: Answer | None) -> None:
        match effect:
            case Emit():
                self._recorder.record(effect.draft)
            case StoreState():
                await self._store(effect.state)
            case RunAction():
                await self._begin(effect)
            case Refuse():
                self._recorder.refused(effect)
                _answer(answer, effect.reply)
            case Reply():
                _answer(answer, self._honest(effect.reply))

    async def _store(self, state: GroupState) -> None:
        try:
            await asyncio.to_thread(self._journal.store, state)
            self._problem = ""
        except JournalError as error:
            if not self._problem:
                _log.critical("group %s: %s", self.plan.group, error)
            self._problem = f"the journal cannot be written: {error.problem}"

    def _honest(self, reply: OrderReply) -> OrderReply:
        """A promise that is not on disk is not given."""
        if not self._problem:
            return reply
        return msgspec.structs.replace(
            reply, accepted=False, done=False, event=None, error=self._problem
        )

    async def _begin(self, action: RunAction) -> None:
        await self._give_up_action()
        problem = self._problem or self._recorder.problem
        if action.verb == "start" and problem:
            self.tell(ActionDone(number=action.number, ok=False, took=0.0, reason=problem))
            return
        self._action = asyncio.create_task(self._act(action), name=f"{action.verb} {action.group}")

    async def _act(self, action: RunAction) -> None:
        try:
            done = await self._executor.run(action)
        except Exception as error:
            _log.exception("group %s: %s of %s", action.group, action.verb, action.resource)
            done = ActionDone(number=action.number, ok=False, took=0.0, reason=f"defect: {error!r}")
        self.tell(replace(done, number=action.number))

    async def _give_up_action(self) -> None:
        task, self._action = self._action, None
        if task is None or task.done():
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=GIVE_UP_WITHIN)


def _answer(answer: Answer | None, reply: OrderReply) -> None:
    if answer is not None and not answer.done():
        answer.set_result(reply)
