"""Where the time of a move or a local recovery went: phases from event data, drawn as bars."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.events.audit import Incident, Step
from holdfast.events.hands import GroupVerified, RecoveryStarted, RecoverySucceeded
from holdfast.events.ownership import MoveCompleted
from holdfast.events.sentences import seconds

COLOURS = {
    "suspect": "yellow",
    "decide": "cyan",
    "wait": "bright_black",
    "fence": "red",
    "revoke": "red",
    "stop": "magenta",
    "start": "blue",
    "verify": "green",
}
MIN_BAR = 10
UNACCOUNTED = 0.005


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a timeline; seconds on one machine's monotonic clock."""

    name: str
    begin: float
    took: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """One move or recovery, from the first silence or signal to the proof that it answers."""

    title: str
    total: float
    phases: list[Phase]


def timelines(incident: Incident) -> list[Timeline]:
    """Every finished move and recovery of an incident, in order."""
    steps = incident.steps()
    return [made for step in steps if (made := _timeline(step, steps)) is not None]


def render(lines: Iterable[Timeline], width: int) -> RenderableType:
    """The timelines as bars, at most `width` columns wide."""
    return Group(*(_table(line, width) for line in lines))


def to_json(lines: Iterable[Timeline]) -> list[dict[str, object]]:
    """The timelines for programs, in seconds."""
    return [
        {
            "title": line.title,
            "total": line.total,
            "phases": [{"name": p.name, "begin": p.begin, "took": p.took} for p in line.phases],
        }
        for line in lines
    ]


def _timeline(step: Step, steps: list[Step]) -> Timeline | None:
    match step.data:
        case MoveCompleted() as done:
            title = f"{done.kind} of {done.group} to {done.node}"
            spent = _with_verify(done, steps)
        case RecoverySucceeded() as done:
            title = f"recovery of {done.group}/{done.resource} on {done.node}"
            delay = sum(
                s.data.delay
                for s in steps
                if isinstance(s.data, RecoveryStarted) and s.data.attempt == done.attempt
            )
            spent = {"wait": delay} if delay else {}
            spent["restart"] = max(0.0, done.took - delay)
            return _laid_out(title, done.took, spent)
        case _:
            return None
    return _laid_out(title, done.total, spent)


def _with_verify(done: MoveCompleted, steps: list[Step]) -> dict[str, float]:
    """The decider counts start and verify as one phase; the hands tell them apart."""
    spent = dict(done.phases)
    if "verify" in spent or "start" not in spent:
        return spent
    for step in steps:
        data = step.data
        if isinstance(data, GroupVerified) and (data.group, data.epoch) == (done.group, done.epoch):
            verify = min(data.took, spent["start"])
            spent |= {"start": spent["start"] - verify, "verify": verify}
    return spent


def _laid_out(title: str, total: float, spent: dict[str, float]) -> Timeline:
    """Phases one after another, in the order in which the event names them: as they began."""
    phases: list[Phase] = []
    begin = 0.0
    for name, took in spent.items():
        phases.append(Phase(name, round(begin, 4), round(took, 4)))
        begin += took
    if total - begin > UNACCOUNTED:
        phases.append(Phase("other", round(begin, 4), round(total - begin, 4)))
    return Timeline(title, total, phases)


def _table(line: Timeline, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    names = max((len(phase.name) for phase in line.phases), default=0)
    room = max(MIN_BAR, min(width, 110) - names - 26)
    for phase in line.phases:
        share = phase.took / line.total if line.total else 0.0
        table.add_row(
            phase.name, _bar(phase, line.total, room), seconds(phase.took), f"{share:.0%}"
        )
    heading = Text.assemble(("Where the time went", "bold"), f": {line.title}, ")
    return Group(Text(), heading.append(seconds(line.total), "bold"), table)


def _bar(phase: Phase, total: float, room: int) -> Text:
    """A bar at its place on the common scale; even the shortest phase shows."""
    scale = room / total if total else 0.0
    begin = min(round(phase.begin * scale), room - 1)
    end = min(max(round((phase.begin + phase.took) * scale), begin + 1), room)
    bar = Text("·" * begin, style="bright_black")
    bar.append(("━" if phase.took else "╷") * (end - begin), COLOURS.get(phase.name, "white"))
    return bar.append("·" * (room - end), "bright_black")
