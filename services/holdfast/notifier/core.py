"""Which events people are told about, and in what words. Pure."""

from collections.abc import Iterable

import msgspec

from holdfast.errors import HoldfastError
from holdfast.events import Envelope, EventData, Health, Layer, event_name, event_types
from holdfast.events.fields import PATH_PROBE
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import FenceFinished
from holdfast.events.sentences import describe

NOTABLE = frozenset(
    {
        "node_suspected",
        "node_cleared",
        "decision_made",
        "decision_refused",
        "move_completed",
        "move_failed",
        "group_held",
        "quarantine_began",
        "recovery_succeeded",
        "recovery_exhausted",
        "lease_lost",
        "leader_elected",
        "volume_refused",
        "volume_member_lost",
        "volume_member_joined",
        "volume_frozen",
        "volume_thawed",
        "volume_loss_accepted",
        "volume_disk_failed",
        "volume_data_path_ended",
        "message_rejected",
        "spool_set_aside",
    }
)
"""What an operator wants to hear of without being asked, besides `_serious`."""

OWN = frozenset({"notification_sent", "notification_failed"})
"""Never notified, whatever is configured: each notification would cause the next."""

_BELOW = frozenset({Layer.HARDWARE, Layer.HYPERVISOR, Layer.STORAGE})
_SERVICES = frozenset({"vote", "voters", "monitor"})
"""A voter that is silent, a place that votes among others than its cluster file names, a node of
which only the hands beat."""
_NAMES = frozenset(event_name(cls) for cls in event_types().values())


class UnknownEvents(HoldfastError):
    """The configuration lists events that do not exist, or that cannot be notified."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as one line of JSON. `id` is the event's: the same id is the same news."""

    time: str
    event: str
    text: str
    entity: str
    incident: str
    source: str
    id: str


def chosen(configured: Iterable[str]) -> frozenset[str] | None:
    """The names to notify; None for the default. Raises UnknownEvents."""
    names = frozenset(configured)
    wrong = sorted(names - _NAMES | names & OWN)
    if wrong:
        raise UnknownEvents(
            f"cannot be notified: {', '.join(wrong)}",
            place="[notifications] events",
            cure=f"use names of docs/events.md, but none of {', '.join(sorted(OWN))}",
        )
    return names or None


def notable(data: EventData | None, names: frozenset[str] | None) -> bool:
    """Whether people are told of this event. `names` comes from `chosen`."""
    if data is None or event_name(data) in OWN:
        return False
    if names is not None:
        return event_name(data) in names
    return event_name(data) in NOTABLE or _serious(data)


def line(envelope: Envelope) -> Line:
    """The notification in words."""
    return Line(
        time=envelope.time,
        event=envelope.type.split(".")[1],
        text=describe(envelope),
        entity=envelope.subject,
        incident=envelope.correlationid,
        source=envelope.source,
        id=envelope.id,
    )


def backoff(attempt: int) -> float:
    """Seconds to wait after the given attempt failed, counted from 1."""
    return float(min(10.0, 0.25 * 2 ** min(attempt, 10)))


def _serious(data: EventData) -> bool:
    """Events that are notable for what they say."""
    match data:
        case HealthSignal():
            if data.probe.startswith(PATH_PROBE):
                return data.state is Health.DEGRADED
            return data.state is Health.FAILED and (data.layer in _BELOW or data.probe in _SERVICES)
        case FenceFinished():
            return data.outcome in ("failed", "timeout")
        case _:
            return False
