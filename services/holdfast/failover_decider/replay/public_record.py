"""Compares replayed decisions with the public record of the same decider. Pure.

No clock is needed: a producer's events have sequence numbers, so between the first and the last
event that both know, each must know all of the other's decisions.
"""

from collections.abc import Iterable

import msgspec

from holdfast.events import Envelope
from holdfast.failover_decider.replay.run import Emitted, canonical_json

DECISIONS = ("decision_made", "decision_refused")


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison of one journal with the record showed."""

    compared: int
    """Decisions that are in both, with the same data."""
    missing: list[str]
    """Decisions of the journal that the record lacks, though later events are there."""
    waiting: list[str]
    """Decisions of the journal after everything the record has: not published yet."""
    unexplained: list[str]
    """Decisions of the record that no recorded step made."""
    altered: list[str]
    """Decisions whose data on the record is other than what was decided."""

    @property
    def same(self) -> bool:
        """Whether the record and the journal tell the same."""
        return not (self.missing or self.unexplained or self.altered)


def compare(stretches: list[list[Emitted]], public: Iterable[Envelope]) -> Comparison:
    """`stretches`: what a journal's steps emitted; `public`: all events of this decider."""
    known = {envelope.id: envelope for envelope in public}
    last = max((envelope.sequence for envelope in known.values()), default="")
    compared, missing, waiting, altered = 0, list[str](), list[str](), list[str]()
    decided: set[str] = set()
    covered: list[tuple[str, str]] = []
    for stretch in stretches:
        seen = sorted(known[one.id].sequence for one in stretch if one.id in known)
        if seen:
            covered.append((seen[0], seen[-1]))
        for index, one in enumerate(stretch):
            if one.name not in DECISIONS:
                continue
            decided.add(one.id)
            envelope = known.get(one.id)
            if envelope is None:
                later = any(other.id in known for other in stretch[index + 1 :])
                (missing if later or (seen and seen[-1] < last) else waiting).append(one.id)
            elif canonical_json(msgspec.json.decode(envelope.data)) != one.data:
                altered.append(one.id)
            else:
                compared += 1
    unexplained = [
        envelope.id
        for envelope in known.values()
        if envelope.type.split(".")[1] in DECISIONS
        and envelope.id not in decided
        and any(first <= envelope.sequence <= last_seen for first, last_seen in covered)
    ]
    return Comparison(
        compared=compared,
        missing=missing,
        waiting=waiting,
        unexplained=unexplained,
        altered=altered,
    )
