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

    def verify(self) -> list[Finding]:
        """All that is wrong with causes and evidence, in the order of the record."""
        findings = self._unreadable + self._collisions
        rooted: dict[str, Kind | None] = {}
        for event, step in self._steps.items():
            findings += self._orphans(event, step)
            wrong = self._climb(event, rooted)
            if wrong is Kind.CYCLE or (wrong is Kind.ROOTLESS and step.action):
                detail = f"{step.name} leads back to {self._top(event)}"
                findings.append(Finding(kind=wrong, source=step.source, event=event, detail=detail))
        return findings

    def _orphans(self, event: str, step: Cause) -> Iterator[Finding]:
        wanted = {"cause": (step.cause,), "incident": (step.incident,), "event": step.references}
        for role, ids in wanted.items():
            for id_ in ids:
                if id_ is not None and id_ not in self._steps:
                    detail = f"{step.name} names {role} {id_}, which is not in the record"
                    yield Finding(kind=Kind.ORPHAN, source=step.source, event=event, detail=detail)

    def _climb(self, event: str, rooted: dict[str, Kind | None]) -> Kind | None:
        """None if a root is above; ORPHAN if the record ends before. Memoised, not recursive."""
        path: list[str] = []
        on_path: set[str] = set()
        at: str | None = event
        verdict: Kind | None = None
        while at is not None:
            if at in rooted:
                verdict = rooted[at]
                break
            if at in on_path or at not in self._steps:
                verdict = Kind.CYCLE if at in on_path else Kind.ORPHAN
                break
            path.append(at)
            on_path.add(at)
            if self._steps[at].cause is None:
                verdict = None if self._steps[at].name in ROOT_TYPES else Kind.ROOTLESS
            at = self._steps[at].cause
        rooted.update(dict.fromkeys(path, verdict))
        return verdict

    def _top(self, event: str) -> str:
        """Where the causes of an event end, for the message."""
        seen = {event}
        at = event
        while (above := self._steps[at].cause) is not None:
            if above in seen:
                return f"itself, by way of {above}"
            seen.add(above)
            at = above
        return "no cause at all" if at == event else f"{self._steps[at].name} {at}, no root"


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
