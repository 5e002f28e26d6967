"""Traces and metrics: a projection of the events, so nothing has to travel beside their ids.

Trace id: the incident's UUID. Span id of an event: the low 64 bits of its UUID. Parent: its cause.
"""

from uuid import UUID

from holdfast.events import Draft


def trace_id(incident: str) -> int:
    """The trace of an incident."""
    return UUID(incident).int


def span_id(event: str) -> int:
    """The span of an event."""
    return UUID(event).int & (1 << 64) - 1


def traceparent(draft: Draft) -> str:
    """The W3C trace context of the span an event stands for."""
    return f"00-{trace_id(draft.correlation):032x}-{span_id(draft.id):016x}-01"
