"""The folder of an input journal: begins, fills, ends and removes segments. Never raises."""

import hashlib
import logging
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from holdfast import clock
from holdfast.failover_decider.inputs.codec import (
    encode_effects,
    encode_input,
    encode_state,
    without_secrets,
)
from holdfast.failover_decider.inputs.journal import (
    SUFFIX,
    Entry,
    Head,
    SegmentWriter,
    segments_of,
)
from holdfast.failover_decider.messages import Effect, Input
from holdfast.failover_decider.state import State

TRY_AGAIN = 30.0
"""Seconds after the disk refused."""
SEGMENTS = 16
"""Files among which the bytes allowed are divided; the oldest goes first."""
_log = logging.getLogger("holdfast.inputs")


@dataclass(frozen=True, slots=True)
class Step:
    """One call of `core.decide`."""

    before: State
    happened: Input
    now: float
    ids: list[str]
    effects: list[Effect]
    lost: int
    """Steps before it that found no room."""


class InputFiles:
    """The folder of segments: at most `max_bytes`, the oldest go first."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        # A thread outlives the cancellation of the task that waits for it.
        self._lock = threading.Lock()
        self._writer: SegmentWriter | None = None
        self._next = 0
        self._refused_until = 0.0
        self._continues = False
        self._problem = ""

    def write(self, steps: list[Step]) -> str:
        """Append steps; returns what is wrong. Never raises."""
        with self._lock:
            if steps and clock.monotonic() >= self._refused_until:
                self._try(steps)
            return self._problem

    def end(self, reason: str) -> None:
        """Close the segment under way, if any."""
        with self._lock:
            self._end(reason)

    def _try(self, steps: list[Step]) -> None:
        try:
            for run in _runs(steps):
                if run[0].lost:
                    self._end(f"{run[0].lost} steps after this found no room")
                    self._continues = False
                self._append(run)
        except (OSError, TypeError, ValueError, msgspec.MsgspecError) as error:
            # A step that cannot be encoded is a defect, but not one to stop deciding for.
            self._give_up(str(error) or type(error).__name__)
        else:
            self._problem = ""

    def _end(self, reason: str) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.end(reason)
            except OSError as error:
                writer.abandon()
                _log.warning("the end of a segment is not written: %s", error)

    def _append(self, steps: list[Step]) -> None:
        if self._writer is None:
            self._writer = self._begin(steps[0].before)
        self._writer.append([_entry(step) for step in steps])
        self._continues = True
        if self._writer.size >= self._max_bytes // SEGMENTS:
            self._end("the next segment follows")

    def _begin(self, state: State) -> SegmentWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room()
        safe = without_secrets(state)
        head = Head(
            number=self._next,
            cluster=state.cluster.cluster.name,
            place=state.place,
            boot=state.leadership.boot,
            version=version("holdfast"),
            config_hash=hashlib.sha256(msgspec.json.encode(safe.cluster)).hexdigest(),
            wall=clock.wall_time(),
            continues=self._continues,
            state=encode_state(safe),
        )
        path = self._folder / f"{self._next:010d}{SUFFIX}"
        self._next += 1
        return SegmentWriter(path, head)

    def _make_room(self) -> None:
        """Remove the oldest segments until a whole new one fits."""
        known = segments_of(self._folder)
        if known:
            self._next = max(self._next, int(known[-1].name.removesuffix(SUFFIX)) + 1)
        sizes = [path.stat().st_size for path in known]
        while known and sum(sizes) > self._max_bytes - self._max_bytes // SEGMENTS:
            known.pop(0).unlink()
            sizes.pop(0)

    def _give_up(self, problem: str) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()
        self._continues = False
        self._problem = problem
        self._refused_until = clock.monotonic() + TRY_AGAIN


def _runs(steps: list[Step]) -> list[list[Step]]:
    """The steps, divided where some were lost between them."""
    runs: list[list[Step]] = []
    for step in steps:
        if step.lost or not runs:
            runs.append([])
        runs[-1].append(step)
    return runs


def _entry(step: Step) -> Entry:
    kind, raw = encode_input(step.happened)
    return Entry(step.now, kind, msgspec.Raw(raw), step.ids, encode_effects(step.effects))
