"""`holdfast why`: the causal tree of one incident, event by event, with rules and evidence."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.console import timeline
from holdfast.events import Envelope, EventData, encode_envelope, event_name
from holdfast.events.audit import Incident, Step, find_incident, incident
from holdfast.events.audit.causes import references
from holdfast.events.hands import RecoveryStarted
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import DecisionMade, DecisionRefused, LeaderElected, LeaseRevoked
from holdfast.events.sentences import describe
from holdfast.events.system import NotificationFailed, NotificationSent

MIN_WIDTH = 60
MAX_WIDTH = 120
MAX_INDENT = 24
SHORT_NAMES = {"failover_decider": "decider", "storage_replication": "storage"}
GOOD = {"move_completed", "recovery_succeeded", "node_cleared"}
BAD = {"move_failed", "recovery_exhausted", "group_held", "lease_lost", "decision_refused"}
WORSE = {"resource_failed", "order_refused", "volume_refused", "notification_failed"}


def explain(record: Iterable[Envelope], wanted: str | None) -> Incident:
    """The incident meant by an id, a prefix of one, or a group; None: the latest.

    Raises holdfast.events.audit.NotFound.
    """
    envelopes = list(record)
    return incident(envelopes, find_incident(envelopes, wanted))


def show(found: Incident, console: Console) -> None:
    """Print the incident: heading, tree, timeline."""
    width = max(MIN_WIDTH, min(console.width, MAX_WIDTH))
    console.print(_heading(found), width=width)
    console.print(_tree(found), width=width)
    lines = timeline.timelines(found)
    if lines:
        console.print(timeline.render(lines, width), width=width)


def to_json(found: Incident) -> dict[str, Any]:
    """The same for programs: envelopes as they are, nested by cause, plus the sentences."""
    return {
        "incident": found.id,
        "roots": [_node(step) for step in found.roots],
        "elsewhere": {key: _plain(envelope) for key, envelope in found.elsewhere.items()},
        "timelines": timeline.to_json(timeline.timelines(found)),
    }


def _node(step: Step) -> dict[str, Any]:
    """One step with what it caused. Built from the leaves up, for trees deeper than the stack."""
    made: dict[int, dict[str, Any]] = {}
    order: list[Step] = [step]
    for at in order:
        order.extend(at.children)
    for at in reversed(order):
        made[id(at)] = {
            "event": _plain(at.envelope),
            "sentence": describe(at.envelope),
            "caused": [made[id(child)] for child in at.children],
        }
    return made[id(step)]


def _plain(envelope: Envelope) -> Any:
    return msgspec.json.decode(encode_envelope(envelope))


def _heading(found: Incident) -> RenderableType:
    steps = found.steps()
    began = steps[0].envelope.time.replace("T", " ")[:19]
    text = Text.assemble(("Incident ", "bold"), (found.id, "bold cyan"))
    text.append(f"\n{began} UTC, {len(steps)} events", "dim")
    outcome = [step for step in steps if _name(step) in GOOD | BAD]
    if outcome:
        text.append("\n" + describe(outcome[-1].envelope), _style(outcome[-1]))
    return Group(text, Text())


def _tree(found: Incident) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=False)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True, max_width=18, overflow="ellipsis")
    table.add_column(no_wrap=False, overflow="fold")
    zero = _instant(found.steps()[0].envelope)
    known = {step.envelope.id: step.envelope for step in found.steps()} | found.elsewhere
    for step, lead, below in _lines(found.roots):
        since = (_instant(step.envelope) - zero).total_seconds()
        cell = Table.grid()
        cell.add_column(no_wrap=True, style="bright_black")
        cell.add_column(overflow="fold")
        cell.add_row(_lead(lead, step), Text(describe(step.envelope), _style(step)))
        notes = list(_notes(step.data, known, found))
        if notes:
            cell.add_row(below, _annotation(notes))
        table.add_row(f"{since:+.2f} s", _source(step.envelope), cell)
    return table


def _lines(roots: list[Step]) -> Iterator[tuple[Step, str, str]]:
    """Every step with what stands before it, and before its notes.

    An only consequence stands below its cause, `↓`; several branch off. So the usual long chain
    does not run out of the page.
    """
    waiting: list[tuple[Step, str, str]] = [(root, "● ", "") for root in reversed(roots)]
    while waiting:
        step, lead, indent = waiting.pop()
        children = step.children
        yield step, lead, indent + "  "
        if len(children) == 1:
            waiting.append((children[0], indent + "↓ ", indent))
            continue
        for child in reversed(children):
            last = child is children[-1]
            deeper = indent + ("  " if last else "│ ")
            deeper = deeper if len(deeper) <= MAX_INDENT else indent
            waiting.append((child, indent + ("└ " if last else "├ "), deeper))


def _lead(lead: str, step: Step) -> Text:
    """The arrow takes the colour of what it leads to."""
    return Text(lead[:-2], "bright_black").append(lead[-2:], _style(step))


def _notes(
    data: EventData | None, known: dict[str, Envelope], found: Incident
) -> Iterator[tuple[str, str]]:
    """The rule, the evidence, and what was rejected: label and text."""
    match data:
        case DecisionMade() | DecisionRefused() | RecoveryStarted():
            yield "rule", data.rule
        case LeaderElected():
            yield "proof", data.proof
        case LeaseRevoked():
            yield "proof", data.proof_detail
        case HealthSignal() if data.measurements:
            yield "measured", ", ".join(f"{k} {v:g}" for k, v in sorted(data.measurements.items()))
        case _:
            pass
    if not isinstance(data, NotificationSent | NotificationFailed):
        for id_ in references(data):
            yield "because", _evidence(id_, known, found)
    if isinstance(data, DecisionMade):
        for other in data.alternatives:
            yield "rejected", f"{other.choice}: {other.rejected_because}"


def _annotation(notes: list[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    before = ""
    for label, text in notes:
        table.add_row("" if label == before else label, Text(text))
        before = label
    return table


def _evidence(id_: str, known: dict[str, Envelope], found: Incident) -> str:
    envelope = known.get(id_)
    if envelope is None:
        return f"event {id_}, not in the record"
    other = f" (incident {envelope.correlationid})" if envelope.correlationid != found.id else ""
    return describe(envelope) + other


def _style(step: Step) -> str:
    if _name(step) in GOOD:
        return "bold green"
    if _name(step) in BAD | WORSE:
        return "bold red"
    match step.data:
        case HealthSignal():
            return "green" if step.data.state == "ok" else "bold yellow"
        case DecisionMade():
            return "bold cyan"
        case NotificationSent():
            return "dim"
        case _:
            return ""


def _name(step: Step) -> str:
    return event_name(step.data) if step.data is not None else ""


def _source(envelope: Envelope) -> str:
    """`/demo/beta/failover_decider` → `beta/decider`: the cluster is the same for all."""
    parts = envelope.source.strip("/").split("/")
    if len(parts) != 3:
        return envelope.source
    return f"{parts[1]}/{SHORT_NAMES.get(parts[2], parts[2])}"


def _instant(envelope: Envelope) -> datetime:
    """The wall time, for display; nonsense becomes the beginning of time rather than an error."""
    try:
        return datetime.fromisoformat(envelope.time).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)
