"""What a node says of itself, a few times a second: `ha.pulse.<node>`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    EventId,
    GroupName,
    Health,
    Layer,
    Name,
    NodeName,
    Reason,
    Term,
)
from holdfast.wire.message import Message
from holdfast.wire.volumes import VolumePulse


class SignalSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that is not ok, with the event that reported it: control never waits for a log."""

    entity: Annotated[str, Meta(max_length=300)]
    node: NodeName
    layer: Layer
    probe: Annotated[str, Meta(max_length=100)]
    state: Health
    reason: Reason
    event: EventId
    incident: EventId
    since: Annotated[float, Meta(ge=0, description="observer's monotonic seconds")]
    instance: Annotated[str, Meta(max_length=100)] = ""


class MonitorPulse(Message, frozen=True, kw_only=True, tag="monitor"):
    """Heartbeat of an observing service (the monitor, storage): all that is not ok, every time."""

    node: NodeName
    boot: BootId
    service: Name = "monitor"
    now: Annotated[float, Meta(ge=0, description="this node's monotonic seconds")]
    signals: Annotated[list[SignalSummary], Meta(max_length=64)] = []
    volumes: Annotated[list[VolumePulse], Meta(max_length=64)] = []
    """The replicated volumes of which the node has a copy; only the storage service knows them."""


class GroupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the hands say of one group: `state` as they know it, never as they hope."""

    group: GroupName
    epoch: Epoch
    state: Literal["stopped", "starting", "active", "stopping", "recovering", "failed", "unknown"]
    reason: Reason = ""
    event: EventId | None = None
    incident: EventId | None = None
    left: Annotated[list[Name], Meta(max_length=64)] = []
    """Resources that the node's cluster file has it run in this group no more, and that may run
    there still."""


class WatchdogReport(msgspec.Struct, frozen=True, kw_only=True):
    """The watchdog of a node that has one. While it is armed, the node cannot outlive its lease."""

    armed: bool
    timeout: Annotated[float, Meta(ge=0, le=60)]
    problem: Reason = ""


class HandsPulse(Message, frozen=True, kw_only=True, tag="hands"):
    """Heartbeat of a node's recovery service: its lease and its groups."""

    node: NodeName
    boot: BootId
    now: Annotated[float, Meta(ge=0, description="this node's monotonic seconds")]
    term: Term
    lease_valid: bool
    groups: Annotated[list[GroupReport], Meta(max_length=64)] = []
    watchdog: WatchdogReport | None = None


Pulse = MonitorPulse | HandsPulse
