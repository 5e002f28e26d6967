"""What a node's hands (the recovery service) do to groups and resources."""

from typing import Annotated

from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    GroupName,
    IntentId,
    NodeName,
    Reason,
    ResourceName,
    Seconds,
    Term,
)
from holdfast.events.registry import EventData, event


@event("lease_acquired")
class LeaseAcquired(EventData, frozen=True, kw_only=True):
    """This node holds its lease: a majority of voters promised not to agree to a takeover."""

    node: NodeName
    boot: BootId
    term: Term
    ttl: Seconds


@event("lease_lost")
class LeaseLost(EventData, frozen=True, kw_only=True):
    """This node's lease is about to run out or was revoked: its groups are being stopped."""

    node: NodeName
    boot: BootId
    term: Term
    reason: Reason


@event("order_accepted")
class OrderAccepted(EventData, frozen=True, kw_only=True):
    """The hands took an order and stored it; work begins."""

    group: GroupName
    node: NodeName
    action: Annotated[str, Meta(max_length=20)]
    epoch: Epoch
    intent: IntentId


@event("order_refused")
class OrderRefused(EventData, frozen=True, kw_only=True):
    """The hands refused an order: stale epoch, expired, wrong boot, no lease."""

    group: GroupName
    node: NodeName
    action: Annotated[str, Meta(max_length=20)]
    epoch: Epoch
    intent: IntentId
    reason: Reason


@event("resource_started")
class ResourceStarted(EventData, frozen=True, kw_only=True):
    """A resource was started and its own check passed."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    instance: Annotated[str, Meta(max_length=100)]
    took: Seconds
    adopted: Annotated[bool, Meta(description="found running, not restarted")] = False


@event("resource_stopped")
class ResourceStopped(EventData, frozen=True, kw_only=True):
    """A resource is confirmed stopped."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    took: Seconds
    killed: Annotated[bool, Meta(description="it did not stop in time and was killed")] = False


@event("resource_failed")
class ResourceFailed(EventData, frozen=True, kw_only=True):
    """An action on a resource failed or timed out. A failed stop is never taken for stopped."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    action: Annotated[str, Meta(max_length=20)]
    reason: Reason


@event("group_started")
class GroupStarted(EventData, frozen=True, kw_only=True):
    """Every resource of the group is started on this node at this epoch."""

    group: GroupName
    node: NodeName
    epoch: Epoch
    took: Seconds


@event("group_verified")
class GroupVerified(EventData, frozen=True, kw_only=True):
    """Every check of the group's resources passed after the start: the service answers."""

    group: GroupName
    node: NodeName
    epoch: Epoch
    checks: Annotated[int, Meta(ge=0, description="how many checks passed")]
    took: Seconds


@event("group_stopped")
class GroupStopped(EventData, frozen=True, kw_only=True):
    """Every resource of the group is confirmed stopped on this node: a clean stop."""

    group: GroupName
    node: NodeName
    epoch: Epoch
    took: Seconds


@event("recovery_started")
class RecoveryStarted(EventData, frozen=True, kw_only=True):
    """Local recovery: the resource, and those that depend on it, are restarted on this node."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    rule: Annotated[str, Meta(max_length=100, description="name of the rule in policy.py")]
    attempt: Annotated[int, Meta(ge=1)]
    attempts_allowed: Annotated[int, Meta(ge=1)]
    delay: Seconds


@event("recovery_succeeded")
class RecoverySucceeded(EventData, frozen=True, kw_only=True):
    """Local recovery restored the resource."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    attempt: Annotated[int, Meta(ge=1)]
    took: Annotated[float, Meta(ge=0, description="seconds from the signal to restored")]


@event("recovery_exhausted")
class RecoveryExhausted(EventData, frozen=True, kw_only=True):
    """Local recovery is not possible or used up: the group is escalated to the decider."""

    group: GroupName
    resource: ResourceName
    node: NodeName
    epoch: Epoch
    reason: Reason
