"""Orders to a node's services: `ha.commands.<node>.<service>`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    EventId,
    GroupName,
    IntentId,
    NodeName,
    Reason,
    ResourceName,
    Term,
    VolumeName,
)
from holdfast.wire.message import Message


class Order(Message, frozen=True, kw_only=True, tag="order"):
    """Start or stop a group at an epoch. Sent again and again until `OrderReply.done`."""

    action: Literal["start", "stop"]
    group: GroupName
    node: NodeName
    boot: BootId
    epoch: Epoch
    intent: IntentId
    incident: EventId
    cause: EventId
    not_after: Annotated[float, Meta(ge=0, description="receiving node's monotonic seconds")]
    leader_term: Term


class Suspend(Message, frozen=True, kw_only=True, tag="suspend"):
    """Groups in maintenance: hands do not restart what fails in them. Whole each time, repeated.

    It is over when it says so, or when nothing was heard until `not_after`. No reply.
    """

    node: NodeName
    boot: BootId
    groups: Annotated[list[GroupName], Meta(max_length=64)]
    not_after: Annotated[float, Meta(ge=0, description="receiving node's monotonic seconds")]


class OrderReply(Message, frozen=True, kw_only=True, tag="order_reply"):
    """How the order stands. `done` with an empty `error` is success; `event` is its record."""

    intent: IntentId
    accepted: bool
    done: bool = False
    error: Reason = ""
    event: EventId | None = None
    lease_ended: bool = False
    """The error is the end of the node's lease, which says nothing about the group."""
    takes: Annotated[float, Meta(ge=0, description="seconds")] = 0.0
    """How long it may take, from its acceptance, by what the hands know of the group: their cluster
    file may be another one than the decider's."""


class WatchedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One running resource the monitor must observe; its checks are in the configuration."""

    group: GroupName
    resource: ResourceName
    instance: Annotated[str, Meta(max_length=100, description="pid:start ticks, or an epoch")]
    pid: Annotated[int, Meta(ge=0, description="0 when the kind has no process")] = 0


class Watch(Message, frozen=True, kw_only=True, tag="watch"):
    """Everything that runs on this node, whole each time, so a lost message heals itself."""

    node: NodeName
    boot: BootId
    resources: Annotated[list[WatchedResource], Meta(max_length=256)]


class VolumeOrder(Message, frozen=True, kw_only=True, tag="volume_order"):
    """Activate or release a volume at an epoch. Idempotent."""

    action: Literal["activate", "release"]
    volume: VolumeName
    node: NodeName
    boot: BootId
    epoch: Epoch
    intent: IntentId
    incident: EventId
    cause: EventId


class Acknowledged(Message, frozen=True, kw_only=True, tag="acknowledged"):
    """Success, or the reason for refusal; `event` is the record of it."""

    ok: bool
    error: Reason = ""
    event: EventId | None = None
