"""Traces as a projection of the events: no context travels beside the ids that travel anyway.

Trace id: the incident's UUID. Span id of an event: the low 64 bits of its UUID. Parent: its cause.
This module knows which events are steps, and what a span says; `holdfast.otlp` sends it.
"""

from typing import Any
from uuid import UUID

import msgspec

from holdfast.events import Draft, EventData, event_name

STEPS = {
    "health_signal": "detect",
    "node_suspected": "detect",
    "decision_made": "decide",
    "decision_refused": "decide",
    "fence_finished": "fence",
    "lease_revoked": "fence",
    "volume_activated": "promote",
    "resource_started": "start",
    "group_started": "start",
    "group_verified": "verify",
    "recovery_succeeded": "recover",
    "recovery_exhausted": "recover",
    "resource_stopped": "stop",
    "group_stopped": "stop",
    "notification_sent": "notify",
    "notification_failed": "notify",
}
"""Span name by event name. Other events are visible as the publishing they are."""

_FAILURES = frozenset(
    ("resource_failed", "recovery_exhausted", "move_failed", "notification_failed", "order_refused")
)

Value = str | bool | int | float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the span of one event says. `duration` in seconds, ending at the event."""

    name: str | None
    duration: float
    attributes: dict[str, Value]
    evidence: list[str]
    failed: bool


def project(draft: Draft) -> Step:
    """The span of an event. `name` is None for an event that is no step."""
    name = event_name(draft.data)
    fields = _fields(draft.data)
    took = fields.get("took", fields.get("silent_for", 0.0))
    attributes: dict[str, Value] = {
        f"holdfast.{key}": value
        for key, value in fields.items()
        if isinstance(value, str | bool | int | float)
    }
    attributes |= {"holdfast.entity": draft.entity, "holdfast.incident": draft.correlation}
    return Step(
        name=STEPS.get(name),
        duration=float(took),
        attributes=attributes,
        evidence=list(fields.get("evidence", ())),
        failed=name in _FAILURES or fields.get("outcome") in ("failed", "timeout"),
    )


def traceparent(draft: Draft) -> str | None:
    """The W3C trace context of the event's span; None when an id is not a UUID."""
    trace, span = trace_id(draft.correlation), span_id(draft.id)
    if trace is None or span is None:
        return None
    return f"00-{trace:032x}-{span:016x}-01"


def trace_id(incident: str) -> int | None:
    """The trace of an incident. Ids come from other services: not a UUID is None, no error."""
    try:
        return UUID(incident).int or None
    except ValueError:
        return None


def span_id(event: str) -> int | None:
    """The span of an event; None when its id is not a UUID."""
    whole = trace_id(event)
    return None if whole is None else whole & (1 << 64) - 1 or None


def _fields(data: EventData) -> dict[str, Any]:
    return msgspec.structs.asdict(data)
