"""The causal tree of one incident, built from the record."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError
from holdfast.events.audit.causes import references
from holdfast.events.audit.roles import is_action
from holdfast.events.envelope import Envelope, MalformedEvent
from holdfast.events.registry import EventData, decode_data

MIN_PREFIX = 4
MAX_CANDIDATES = 8


class NotFound(HoldfastError):
    """No incident fits what was asked for, or more than one does."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event, its data if this version can read it, and what it directly caused."""

    envelope: Envelope
    data: EventData | None
    children: list["Step"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident: its trees (one, unless part of the record is missing) and what else it names.

    `elsewhere` holds causes and evidence that belong to other incidents, by id.
    """

    id: str
    roots: list[Step]
    elsewhere: dict[str, Envelope]

    def steps(self) -> list[Step]:
        """Every step, in the order of the wall clock, ties as the trees have them."""
        found: list[Step] = []
        waiting = list(reversed(self.roots))
        while waiting:
            step = waiting.pop()
            found.append(step)
            waiting += reversed(step.children)
        return sorted(found, key=_order)


def incident(envelopes: Iterable[Envelope], id: str) -> Incident:
    """The incident with exactly this id. Copies count once; order of arrival does not matter."""
    every = {envelope.id: envelope for envelope in envelopes}
    steps = {e.id: Step(e, read(e)) for e in every.values() if e.correlationid == id}
    if not steps:
        raise NotFound(
            "no such incident", place=id, cure="`holdfast events` lists what is in the record"
        )
    roots: list[Step] = []
    for step in sorted(steps.values(), key=_order):
        above = steps.get(step.envelope.causationid or "")
        (above.children if above and not _descends(above, step, steps) else roots).append(step)
    named = {
        other
        for step in steps.values()
        for other in (step.envelope.causationid, *references(step.data))
        if other is not None and other not in steps
    }
    return Incident(id, roots, {other: every[other] for other in named if other in every})


def find_incident(envelopes: Iterable[Envelope], wanted: str | None) -> str:
    """The id of the incident meant: by a prefix of its id, of any event's id, or by a group's name.

    A group means its latest incident, None the latest of all that did or refused something.
    Raises NotFound, naming the candidates when a prefix fits several incidents.
    """
    record = list(envelopes)
    if wanted is None:
        return _latest(record, "the record", "nothing has happened yet")
    of_group = [e for e in record if wanted in _groups(e)]
    if of_group:
        return _latest(of_group, wanted, "nothing has happened to this group yet")
    if len(wanted) < MIN_PREFIX:
        raise NotFound(
            f"neither a group nor at least {MIN_PREFIX} characters of an id",
            place=wanted,
            cure="give more of the id",
        )
    fits = {e.correlationid for e in record if e.id.startswith(wanted)}
    fits = {wanted} if wanted in fits else fits
    if len(fits) == 1:
        return fits.pop()
    some = ", ".join(sorted(fits)[-MAX_CANDIDATES:])
    raise NotFound(
        f"{len(fits)} incidents fit: {some}" if fits else "no event, incident or group fits",
        place=wanted,
        cure="give more of the id" if fits else "`holdfast events` lists what is in the record",
    )


def read(envelope: Envelope) -> EventData | None:
    """The event's data, or None if this version cannot read it."""
    try:
        return decode_data(envelope)
    except MalformedEvent:
        return None


def _latest(record: list[Envelope], place: str, problem: str) -> str:
    """The incident whose latest action or refusal is the latest of all."""
    telling = [e for e in record if _telling(e)]
    if not telling:
        raise NotFound(problem, place=place, cure="`holdfast events` lists what is in the record")
    return max(telling, key=lambda e: (e.time, e.id)).correlationid


def _telling(envelope: Envelope) -> bool:
    name = envelope.type.split(".")[1:2]
    return bool(name) and (name[0] == "decision_refused" or is_action(name[0], read(envelope)))


def _groups(envelope: Envelope) -> set[str]:
    """The group an event is about, by its entity: `group/<g>` or `resource/<g>/<r>`."""
    kind, _, rest = envelope.subject.partition("/")
    return {rest.split("/")[0]} if kind in ("group", "resource") else set()


def _descends(above: Step, step: Step, steps: dict[str, Step]) -> bool:
    """Whether `above` is caused by `step`: only a forged record has such a circle."""
    at: Step | None = above
    seen: set[str] = set()
    while at is not None and at.envelope.id not in seen:
        if at is step:
            return True
        seen.add(at.envelope.id)
        at = steps.get(at.envelope.causationid or "")
    return False


def _order(step: Step) -> tuple[str, str, str]:
    return (step.envelope.time, step.envelope.source, step.envelope.sequence)
