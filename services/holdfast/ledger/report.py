"""What an outside observer saw of a ledger, and the verdict on it, without any I/O."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry as the ledger lists it."""

    index: int
    epoch: int
    id: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the observation. `longest_outage` in seconds."""

    label: str
    acknowledged: int
    longest_outage: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts over the whole journal. `lost`: acknowledged, but not found at that index."""

    lost: int
    duplicated: int
    epochs_never_decreased: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The whole observation; times in seconds. `verdict` None: the journal could not be read."""

    acknowledged: int
    failed_requests: int
    seconds: float
    longest_outage: float
    phases: tuple[Phase, ...]
    verdict: Verdict | None
    last_error: str | None

    @property
    def ok(self) -> bool:
        """Whether the ledger made promises, and every one is seen to be kept."""
        kept = Verdict(lost=0, duplicated=0, epochs_never_decreased=True)
        return self.acknowledged > 0 and self.verdict == kept


def judge(acknowledged: Mapping[str, int], journal: Sequence[Seen]) -> Verdict:
    """Compares the indexes that were acknowledged, by id, with the journal read back, in order."""
    counts = Counter(seen.id for seen in journal)
    found = {(seen.id, seen.index) for seen in journal}
    return Verdict(
        lost=sum((entry, index) not in found for entry, index in acknowledged.items()),
        duplicated=sum(count - 1 for count in counts.values()),
        epochs_never_decreased=_never_decreases(seen.epoch for seen in journal),
    )


def _never_decreases(epochs: Iterable[int]) -> bool:
    highest = 0
    for epoch in epochs:
        if epoch < highest:
            return False
        highest = epoch
    return True


class Outages:
    """The longest waits for an acknowledgement, in total and per phase; `now` in seconds.

    A wait counts whole, from the last acknowledgement, for every phase that it reaches into: a mark
    in its middle must not hide its length.
    """

    def __init__(self, now: float, label: str) -> None:
        self._began = self._last = now
        self._label = label
        self._acknowledged = 0
        self._longest_here = 0.0
        self.longest = 0.0
        self.phases: tuple[Phase, ...] = ()

    def acknowledged(self, now: float) -> None:
        """An acknowledgement came."""
        self._reach(now)
        self._last = now
        self._acknowledged += 1

    def mark(self, now: float, label: str) -> Phase:
        """Ends the phase, which is returned, and begins the next one."""
        self._reach(now)
        phase = Phase(self._label, self._acknowledged, round(self._longest_here, 6))
        self.phases += (phase,)
        self._label, self._acknowledged, self._longest_here = label, 0, 0.0
        return phase

    def elapsed(self, now: float) -> float:
        """Seconds since the observation began."""
        return now - self._began

    def _reach(self, now: float) -> None:
        self._longest_here = max(self._longest_here, now - self._last)
        self.longest = max(self.longest, self._longest_here)
