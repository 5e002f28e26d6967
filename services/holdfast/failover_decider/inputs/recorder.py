"""Records what the core is given and what it answers, without ever being in its way.

`note` keeps references to immutable things, and nothing else; a task writes them, a thread encodes
them. Whatever goes wrong ends the segment, visibly, and costs recordings, never a decision.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from holdfast import ids
from holdfast.events import Health, Layer
from holdfast.events.health import HealthSignal
from holdfast.failover_decider import core
from holdfast.failover_decider.inputs.files import InputFiles, Step
from holdfast.failover_decider.messages import Effect, Input
from holdfast.failover_decider.state import State

WRITE_EVERY = 1.0
"""Seconds; what a crash of the decider can cost."""
MAX_WAITING = 4096
"""Steps that may wait to be written: more than a minute of them."""
CLOSE_WITHIN = 3.0
_log = logging.getLogger("holdfast.inputs")


class Recorder:
    """The input journal of one decider. `say(problem)` tells of each change; "": it is well."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        say: Callable[[str], None],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._files = InputFiles(folder, max_bytes)
        self._say, self._problem = say, ""
        self._on = max_bytes > 0
        self._waiting: deque[Step] = deque()
        self._max_waiting = max_waiting
        self._lost = 0

    def note(
        self, before: State, happened: Input, now: float, minted: list[str], effects: list[Effect]
    ) -> None:
        """Remember a step. Never waits, never fails; without room the step is counted as lost."""
        if not self._on:
            return
        if len(self._waiting) >= self._max_waiting:
            self._lost += 1
            return
        self._waiting.append(Step(before, happened, now, minted, effects, self._lost))
        self._lost = 0

    def decide(self, state: State, happened: Input, now: float) -> tuple[State, list[Effect]]:
        """`core.decide` with fresh ids, noted."""
        minted: list[str] = []

        def mint() -> str:
            minted.append(ids.uuid7())
            return minted[-1]

        after, effects = core.decide(state, happened, now, mint)
        self.note(state, happened, now, minted, effects)
        return after, effects

    async def run(self) -> None:
        """Write what was noted, for ever."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()

    async def close(self) -> None:
        """Write the rest; call it when `run` has been cancelled. Gives up after CLOSE_WITHIN."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.write()
                await asyncio.to_thread(self._files.end, "its decider was stopped")
        except TimeoutError:
            _log.warning("the last inputs are not recorded: the disk does not answer")

    async def write(self) -> None:
        """Write what was noted so far. Never raises."""
        steps, lost = list(self._waiting), self._lost
        self._waiting.clear()
        problem = await asyncio.to_thread(self._files.write, steps)
        gap = lost + sum(step.lost for step in steps)
        self._report(problem or (f"{gap} inputs found no room and are not recorded" if gap else ""))

    def _report(self, problem: str) -> None:
        if bool(problem) == bool(self._problem):
            return
        self._problem = problem
        if problem:
            _log.error("inputs are not recorded, decisions go on: %s", problem)
        self._say(problem)


def inputs_signal(place: str, problem: str) -> HealthSignal:
    """What is put on the record when recording ends or, `problem` empty, goes on again."""
    failing = bool(problem)
    return HealthSignal(
        layer=Layer.STORAGE,
        node=place,
        observer=place,
        probe="inputs",
        state=Health.DEGRADED if failing else Health.OK,
        previous=Health.OK if failing else Health.DEGRADED,
        reason=f"inputs are not recorded: {problem}"[:1000] if failing else "recorded again",
    )
