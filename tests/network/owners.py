"""Who owned the ledger over time, from what was seen from outside. Pure."""

from collections.abc import Iterable
from itertools import combinations, pairwise

import msgspec

AWAKE_AT_MOST = 1.0
"""Seconds, on a busy machine, until the switch of an owner that wakes has killed its ledger."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """One question to the ledger on a host. `epoch` and `pid` None: it did not answer with 200."""

    host: str
    asked: float
    answered: float
    epoch: int | None = None
    pid: int | None = None


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag="alive"):
    """A ledger's process was there. `frozen`: stopped by a signal."""

    host: str
    at: float
    pid: int
    epoch: int
    frozen: bool


Sample = Answer | Alive


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger on one host, from the first to the last time it was seen, in seconds."""

    host: str
    pid: int
    epoch: int
    began: float
    ended: float

    def meets(self, other: "Span") -> bool:
        """Whether both were there at the same time, on different hosts."""
        together = self.began <= other.ended and other.began <= self.ended
        return self.host != other.host and together


def answering(samples: Iterable[Sample]) -> list[Span]:
    """Stretches in which every question was answered, by the same process; in order of begin."""
    spans: list[Span] = []
    open_: dict[str, Span] = {}
    for one in samples:
        if not isinstance(one, Answer):
            continue
        last = open_.pop(one.host, None)
        if last is not None and last.pid != one.pid:
            spans.append(last)
            last = None
        if one.epoch is not None and one.pid is not None:
            open_[one.host] = Span(
                host=one.host,
                pid=one.pid,
                epoch=one.epoch,
                began=last.began if last else one.asked,
                ended=one.answered,
            )
    return sorted([*spans, *open_.values()], key=lambda span: span.began)


def living(samples: Iterable[Sample], *, frozen_too: bool) -> list[Span]:
    """The lifetimes of the ledger's processes; without `frozen_too`, only where they could act."""
    spans: list[Span] = []
    open_: dict[tuple[str, int], Span] = {}
    for one in samples:
        if not isinstance(one, Alive):
            continue
        key = (one.host, one.pid)
        if one.frozen and not frozen_too:
            if key in open_:
                spans.append(open_.pop(key))
            continue
        began = open_[key].began if key in open_ else one.at
        open_[key] = Span(host=one.host, pid=one.pid, epoch=one.epoch, began=began, ended=one.at)
    return sorted([*spans, *open_.values()], key=lambda span: span.began)


def overlaps(spans: Iterable[Span]) -> list[tuple[Span, Span]]:
    """Every pair that was there at the same time on different hosts."""
    return [(one, other) for one, other in combinations(spans, 2) if one.meets(other)]


def together(one: Span, other: Span) -> float:
    """For how many seconds both were there."""
    return min(one.ended, other.ended) - max(one.began, other.began)


def current(spans: Iterable[Span]) -> list[Span]:
    """Without those of an older epoch than one that had begun: they overlap, and are no move."""
    found: list[Span] = []
    for span in spans:
        if span.epoch >= max((one.epoch for one in found), default=0):
            found.append(span)
    return found


def moves(spans: Iterable[Span]) -> int:
    """How often the host changed."""
    return sum(one.host != other.host for one, other in pairwise(spans))


def told(spans: Iterable[Span], zero: float) -> str:
    """`alpha 0.0-7.2 (epoch 1), beta 12.9-20.1 (epoch 3)`: gaps within one epoch are left out."""
    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is not None and (last.host, last.pid) == (span.host, span.pid):
            span = msgspec.structs.replace(span, began=last.began)
            merged.pop()
        merged.append(span)
    return ", ".join(
        f"{one.host} {one.began - zero:.1f}-{one.ended - zero:.1f} (epoch {one.epoch})"
        for one in merged
    )
