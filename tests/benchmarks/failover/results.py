"""What is measured, and the arithmetic on it. Pure; all times in seconds."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

HOST, APPLICATION = "host", "application"
PHASES = ("detect", "decide", "fence", "start")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A phase was over. A phase may be marked more than once: its stretches add up."""

    phase: str
    at: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `outage`: from just before it until the first answer of the next process.

    `led`: what the lost host led besides the service, in the contestant's words.
    """

    fault: str
    outage: float
    phases: dict[str, float]
    owner: str
    answered_by: str
    led: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one contestant. `failure`: why there are not as many as were asked for."""

    name: str
    title: str
    versions: dict[str, str]
    runs: list[Run]
    failure: str = ""

    def of(self, fault: str) -> list[Run]:
        """Its runs of one fault."""
        return [run for run in self.runs if run.fault == fault]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one fault. `phases`: the median of each."""

    runs: int
    median: float
    least: float
    most: float
    phases: dict[str, float]


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one invocation, as the data file holds it."""

    taken: str
    machine: dict[str, str]
    results: list[Result]


def split(began: float, marks: Iterable[Mark], ended: float) -> dict[str, float]:
    """How long each phase took between `began` and `ended`; what follows the last mark is start.

    Marks outside of that stretch count as its ends: clocks of logs are coarse.
    """
    spent: dict[str, float] = {}
    last = began
    for mark in [*sorted(marks, key=lambda one: one.at), Mark(phase="start", at=ended)]:
        at = min(max(mark.at, last), ended)
        spent[mark.phase] = spent.get(mark.phase, 0.0) + at - last
        last = at
    return spent


def summary(runs: Sequence[Run]) -> Summary | None:
    """None: nothing was measured."""
    if not runs:
        return None
    outages = [run.outage for run in runs]
    named = [phase for phase in PHASES if any(phase in run.phases for run in runs)]
    return Summary(
        runs=len(runs),
        median=median(outages),
        least=min(outages),
        most=max(outages),
        phases={phase: median([run.phases.get(phase, 0.0) for run in runs]) for phase in named},
    )


def ratio(one: Summary | None, peer: Summary | None) -> float | None:
    """The median as a share of the peer's. None: one of them was not measured."""
    if one is None or peer is None or peer.median <= 0:
        return None
    return one.median / peer.median


def delays(runs: int, span: float) -> list[float]:
    """At which points of a polling interval of `span` seconds to act, spread evenly."""
    return [span * (number + 0.5) / runs for number in range(runs)]


def pause(point: float, elapsed: float, span: float) -> float:
    """How long to wait for that point of the interval, `elapsed` after an interval began."""
    return (point - elapsed) % span
