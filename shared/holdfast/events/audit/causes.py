"""Verifying causes (I7): every action descends, cause by cause, from a signal or a request."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from holdfast.events.audit.findings import Finding, Kind
from holdfast.events.audit.roles import ROOT_TYPES, is_action
from holdfast.events.envelope import Envelope, MalformedEvent
from holdfast.events.registry import EventData, decode_data


class Cause(NamedTuple):
    """What is kept of an event to follow its causes."""

    source: str
    name: str
    cause: str | None
    incident: str
    references: tuple[str, ...]
    action: bool
    hash: str


class _End(NamedTuple):
    """Where a chain of causes ends; `kind` is None if that is a root."""

    kind: Kind | None
    where: str


class Causes:
    """Collects who caused whom. Order of arrival does not matter, copies are ignored."""

    def __init__(self) -> None:
        self._steps: dict[str, Cause] = {}
        self._unreadable: list[Finding] = []
        self._collisions: list[Finding] = []

    @property
    def incidents(self) -> int:
        """How many incidents the record holds."""
        return len({step.incident for step in self._steps.values()})

    def add(self, envelope: Envelope) -> None:
        """Take one event in. Total: what cannot be read becomes a finding."""
        known = self._steps.get(envelope.id)
        if known is not None:
            if known.hash != envelope.hash:
                detail = f"also used by {known.source} for another event"
                self._collisions.append(_finding(Kind.SAME_ID, envelope, detail))
            return
        try:
            data = decode_data(envelope)
        except MalformedEvent as error:
            self._unreadable.append(_finding(Kind.UNREADABLE, envelope, error.problem))
            data = None
        name = _name(envelope.type)
        self._steps[envelope.id] = Cause(
            source=envelope.source,
            name=name,
            cause=envelope.causationid,
            incident=envelope.correlationid,
            references=tuple(references(data)),
            action=is_action(name, data),
            hash=envelope.hash,
        )

    def verify(self, *, oldest: str = "") -> list[Finding]:
        """All that is wrong with causes and evidence, in the order of the record.

        References to ids that sort before `oldest` are let pass: a full record dropped them.
        """
        findings = self._unreadable + self._collisions
        ends: dict[str, _End] = {}
        for event, step in self._steps.items():
            findings += self._orphans(event, step, oldest)
            end = self._climb(event, ends)
            if end.kind is Kind.CYCLE or (end.kind is Kind.ROOTLESS and step.action):
                detail = f"{step.name} leads back to {end.where}"
                findings.append(
                    Finding(kind=end.kind, source=step.source, event=event, detail=detail)
                )
        return findings

    def _orphans(self, event: str, step: Cause, oldest: str) -> Iterator[Finding]:
        wanted = {"cause": (step.cause,), "incident": (step.incident,), "event": step.references}
        for role, ids in wanted.items():
            for id_ in ids:
                if id_ is not None and id_ not in self._steps and id_ >= oldest:
                    detail = f"{step.name} names {role} {id_}, which is not in the record"
                    yield Finding(kind=Kind.ORPHAN, source=step.source, event=event, detail=detail)

    def _climb(self, event: str, ends: dict[str, _End]) -> _End:
        """Where the causes of an event end. Remembered for all on the way; not recursive."""
        path: dict[str, None] = {}
        at = event
        while at not in ends and at not in path and at in self._steps:
            path[at] = None
            cause = self._steps[at].cause
            if cause is None:
                ends[at] = self._top(at)
            else:
                at = cause
        if at in ends:
            end = ends[at]
        elif at in path:
            end = _End(Kind.CYCLE, f"itself or a circle, by way of {at}")
        else:
            end = _End(Kind.ORPHAN, f"{at}, which is not in the record")
        ends.update(dict.fromkeys(path, end))
        return end

    def _top(self, event: str) -> _End:
        name = self._steps[event].name
        if name in ROOT_TYPES:
            return _End(None, f"{name} {event}")
        return _End(Kind.ROOTLESS, f"{name} {event}, which is neither a signal nor a request")


def verify_causes(envelopes: Iterable[Envelope]) -> list[Finding]:
    """All that is wrong with the causes and the evidence of these events, in any order."""
    causes = Causes()
    for envelope in envelopes:
        causes.add(envelope)
    return causes.verify()


def references(data: EventData | None) -> list[str]:
    """Ids of other events that the data names: evidence, or what a notification is about."""
    found: list[str] = list(getattr(data, "evidence", ()))
    about = getattr(data, "about", None)
    return [*found, about] if about else found


def _name(kind: str) -> str:
    """`holdfast.health_signal.v1` → `health_signal`; versions of one type play one role."""
    parts = kind.split(".")
    return parts[1] if len(parts) == 3 else kind


def _finding(kind: Kind, envelope: Envelope, detail: str) -> Finding:
    return Finding(kind=kind, source=envelope.source, event=envelope.id, detail=detail)
