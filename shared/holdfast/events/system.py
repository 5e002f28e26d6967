"""What happens to Holdfast itself, to its messages, and what operators ask of it."""

from typing import Annotated

from msgspec import Meta

from holdfast.events.fields import EventId, Name, Reason, ServiceName
from holdfast.events.registry import EventData, event


@event("service_started")
class ServiceStarted(EventData, frozen=True, kw_only=True):
    """A Holdfast service runs."""

    service: ServiceName
    place: Name
    version: Annotated[str, Meta(max_length=40)]
    pid: Annotated[int, Meta(ge=1)]


@event("service_stopped")
class ServiceStopped(EventData, frozen=True, kw_only=True):
    """A Holdfast service stops in an orderly way; the workloads go on (I10)."""

    service: ServiceName
    place: Name
    reason: Reason


@event("message_rejected")
class MessageRejected(EventData, frozen=True, kw_only=True):
    """A bad message changed nothing. Reported once per subject and kind; then only counted."""

    message_subject: Annotated[str, Meta(max_length=200)]
    kind: Annotated[
        str, Meta(max_length=40, description="malformed, oversized, stale, unknown_version, forged")
    ]
    reason: Reason
    count: Annotated[int, Meta(ge=1, description="how many so far, this one included")]


@event("spool_set_aside")
class SpoolSetAside(EventData, frozen=True, kw_only=True):
    """A spool file did not verify and was renamed; what was readable before the damage is kept."""

    service: ServiceName
    place: Name
    file: Annotated[str, Meta(max_length=400)]
    reason: Reason
    events_kept: Annotated[int, Meta(ge=0)]
    deleted: Annotated[
        list[Annotated[str, Meta(max_length=400)]],
        Meta(max_length=16, description="files set aside earlier, deleted to keep few"),
    ] = []


@event("operator_request")
class OperatorRequest(EventData, frozen=True, kw_only=True):
    """An operator asked for something; like a health signal, the root of what follows."""

    operator: Annotated[str, Meta(max_length=100)]
    request: Annotated[str, Meta(max_length=100)]
    arguments: Annotated[dict[str, str], Meta(max_length=16)] = {}
    signed: Annotated[
        str, Meta(max_length=1000, description="the text that was signed, if the word had to be")
    ] = ""
    signature: Annotated[
        str, Meta(max_length=200, description="base64, by the nkey in the arguments")
    ] = ""


@event("notification_sent")
class NotificationSent(EventData, frozen=True, kw_only=True):
    """A channel took the notification about an event."""

    channel: Name
    about: EventId
    attempts: Annotated[int, Meta(ge=1)]


@event("notification_failed")
class NotificationFailed(EventData, frozen=True, kw_only=True):
    """A channel could not be reached within its attempts; the event itself is in the record."""

    channel: Name
    about: EventId
    attempts: Annotated[int, Meta(ge=1)]
    reason: Reason
