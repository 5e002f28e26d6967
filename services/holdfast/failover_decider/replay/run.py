"""Runs recorded inputs through the core again and compares what follows, byte for byte. Pure.

A segment begins with the state as it was, so every segment is judged by itself; the state at its
end must be the one with which the next begins. One that lacks its end is no difference: what is
not there was not decided otherwise. It is said, and what follows begins anew.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast.failover_decider import core
from holdfast.failover_decider.inputs.codec import (
    UnknownShape,
    decode_effects,
    decode_input,
    decode_state,
    encode_effects,
)
from holdfast.failover_decider.inputs.journal import Entry, Segment
from holdfast.failover_decider.state import State

LOST = "what it continues is missing: the segment before, or the end of that"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A step that does not lead to what it led to."""

    step: int
    """Counted from 1 within its segment."""
    now: float
    """The decider's monotonic seconds."""
    input: list[Any]
    then: list[str]
    """What followed when it was recorded, one line per effect."""
    replayed: list[str]
    """What follows from it now."""


class SegmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the replay of one segment showed."""

    file: str
    number: int
    place: str
    version: str
    config_hash: str
    wall: str
    seconds: float
    steps: int
    made: int
    """Decisions made."""
    refused: int
    """Decisions refused."""
    ended: str
    continues: bool
    differences: int
    first: Difference | None
    problem: str = ""
    """Why no more of it, or nothing just before it, could be replayed."""


class Emitted(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a step emitted, as recorded; for the comparison with the public record."""

    id: str
    name: str
    data: bytes
    """Its data as canonical JSON."""


@dataclass
class Replay:
    """One journal's replay, segment by segment, oldest first."""

    segments: list[SegmentReport] = field(default_factory=list)
    emitted: list[list[Emitted]] = field(default_factory=list)
    """One list per stretch of segments that continue each other."""
    _state: State | None = None

    def add(self, segment: Segment) -> None:
        """Replay one segment more."""
        run = _Run(segment)
        before = self.segments[-1] if self.segments else None
        follows = before is not None and before.number + 1 == segment.head.number
        if not (segment.head.continues and follows and self._state is not None):
            self._state = None
            self.emitted.append([])
            explained = before is None or before.problem or before.differences
            if segment.head.continues and not explained:
                run.problem = LOST
        self._state = run.play(self._state)
        self.emitted[-1] += run.emitted
        self.segments.append(run.report())

    @property
    def same(self) -> bool:
        """Whether everything that was replayed led to the same effects."""
        return not any(segment.differences for segment in self.segments)

    @property
    def readable(self) -> bool:
        """Whether every segment could be replayed to its end."""
        return not any(segment.problem for segment in self.segments)


class _Run:
    """The replay of one segment."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._steps = self._made = self._refused = self._differences = 0
        self._first: Difference | None = None
        self.problem = ""
        self._since = self._until = 0.0
        self.emitted: list[Emitted] = []

    def play(self, before: State | None) -> State | None:
        """`before`: the state at the end of the segment that this one continues, if known.

        Returns the state at the end; None if it came to no end.
        """
        try:
            state = decode_state(self._segment.head.state)
            if before is not None and before != state:
                self._differ(self._state_difference(before, state))
            for entry in self._segment.entries():
                state = self._step(state, entry)
        except UnknownShape as error:
            self.problem = f"{error.place}: {error.problem}; {error.cure}"
        except _Failed as failed:
            self._differ(failed.difference)
        else:
            self.problem = self._segment.ended if self._segment.damaged else self.problem
            return state if self._segment.whole else None
        return None

    def report(self) -> SegmentReport:
        """What was seen."""
        head = self._segment.head
        return SegmentReport(
            file=str(self._segment.path),
            number=head.number,
            place=head.place,
            version=head.version,
            config_hash=head.config_hash,
            wall=head.wall,
            seconds=round(self._until - self._since, 3),
            steps=self._steps,
            made=self._made,
            refused=self._refused,
            ended=self._segment.ended,
            continues=head.continues,
            differences=self._differences,
            first=self._first,
            problem=self.problem,
        )

    def _step(self, state: State, entry: Entry) -> State:
        self._steps += 1
        self._since = self._since or entry.now
        self._until = entry.now
        happened = decode_input(entry.kind, bytes(entry.happened))
        self._count(entry.effects)
        ids = iter(entry.ids)
        minted = 0

        def mint() -> str:
            nonlocal minted
            minted += 1
            return next(ids, f"beyond the recorded ids: {minted}")

        try:
            state, effects = core.decide(state, happened, entry.now, mint)
        except Exception as error:
            # Whatever a changed core raises where the recorded one decided is a difference.
            raised = f"{type(error).__name__}: {error}"
            raise _Failed(self._difference(entry, [f"it fails: {raised}"])) from error
        now = encode_effects(effects)
        if now != entry.effects:
            self._differ(self._difference(entry, describe(now)))
        return state

    def _count(self, effects: bytes) -> None:
        for effect in decode_effects(effects):
            if effect[0] == "Emit":
                _, name, draft = effect
                self._made += name == "decision_made"
                self._refused += name == "decision_refused"
                data = canonical_json(draft["data"])
                self.emitted.append(Emitted(id=draft["id"], name=name, data=data))

    def _differ(self, difference: Difference) -> None:
        self._differences += 1
        self._first = self._first or difference

    def _difference(self, entry: Entry, now: list[str]) -> Difference:
        return Difference(
            step=self._steps,
            now=entry.now,
            input=[entry.kind, msgspec.msgpack.decode(entry.happened)],
            then=describe(entry.effects),
            replayed=now,
        )

    def _state_difference(self, ours: State, theirs: State) -> Difference:
        names = [n for n in ours.__struct_fields__ if getattr(ours, n) != getattr(theirs, n)]
        return Difference(
            step=0,
            now=0.0,
            input=["the segment before"],
            then=[f"{name} = {getattr(theirs, name)}"[:500] for name in names],
            replayed=[f"{name} = {getattr(ours, name)}"[:500] for name in names],
        )


class _Failed(Exception):
    """The core fails where it did not."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference


def canonical_json(data: Any) -> bytes:
    """An event's data in a form that is equal if and only if the data is."""
    return msgspec.json.encode(data, order="deterministic")


def describe(effects: bytes) -> list[str]:
    """One line per effect, the rule of a decision first."""
    return [_line(effect) for effect in decode_effects(effects)]


def _line(effect: list[Any]) -> str:
    name, *rest = effect
    if name != "Emit":
        return f"{name} {_fields(rest[0])}"
    event, draft = rest
    data = dict(draft["data"])
    rule = data.pop("rule", "")
    return f"{event} {rule and f'by rule {rule}: '}{_fields(data)} (event {draft['id']})"


def _fields(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())
