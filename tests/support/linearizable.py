"""Whether a history of one register could have happened one operation after another.

Every written value is unique, so the check is exact and quick (Gibbons and Korach, Testing shared
memories, 1997): a write with all reads of its value is a cluster. With `first` the earliest end
and `last` the latest begin in it, the register held the value from `first` to `last` if that is an
interval (forward), else it had to hold it at one moment at least between `last` and `first`
(backward). It is linearizable exactly if no two forward intervals overlap, and no backward one is
within a forward one of another value.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Operation:
    """`ended` is inf for a write of which nobody knows how it ended. Times of one clock."""

    write: bool
    value: int
    began: float
    ended: float


@dataclass(frozen=True)
class Cluster:
    """All operations of one value."""

    value: int
    first: float
    last: float

    @property
    def forward(self) -> bool:
        return self.first < self.last


def problem(history: Iterable[Operation], initial: int = 0) -> str:
    """What is wrong with it; empty if it is linearizable."""
    operations = list(history)
    writes = {o.value: o for o in operations if o.write}
    assert len(writes) == sum(o.write for o in operations), "values must be unique"
    writes[initial] = Operation(True, initial, -inf, -inf)
    of: dict[int, list[Operation]] = {value: [write] for value, write in writes.items()}
    for read in (o for o in operations if not o.write):
        if read.value not in writes:
            return f"{read} returned what nobody wrote"
        if read.ended < writes[read.value].began:
            return f"{read} came before {writes[read.value]}"
        of[read.value].append(read)
    # A write of unknown end that nobody read may never have happened.
    clusters = [
        Cluster(value, min(o.ended for o in group), max(o.began for o in group))
        for value, group in of.items()
        if len(group) > 1 or group[0].ended < inf
    ]
    forward = sorted((c for c in clusters if c.forward), key=lambda c: c.first)
    for one, other in itertools.pairwise(forward):
        if other.first < one.last:
            return f"{one} and {other} exclude each other"
    for held in forward:
        for other in clusters:
            if not other.forward and held.first < other.last and other.first < held.last:
                return f"{other} happened while the register held {held}"
    return ""
