"""What the decider does: leadership, fencing, decisions, ownership."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    EventId,
    GroupName,
    IntentId,
    Name,
    NodeName,
    Reason,
    Seconds,
    Term,
)
from holdfast.events.registry import EventData, event


class MoveKind(StrEnum):
    """What a decision is about."""

    START = "start"
    FAILOVER = "failover"
    RELOCATE = "relocate"
    SWITCHOVER = "switchover"
    FAILBACK = "failback"
    STOP = "stop"


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that was considered and rejected."""

    choice: Annotated[str, Meta(max_length=200)]
    rejected_because: Reason


@event("leader_elected")
class LeaderElected(EventData, frozen=True, kw_only=True):
    """A decider holds the leadership lease: from now on it decides, in this term."""

    leader: Name
    term: Term
    votes: Annotated[list[Name], Meta(max_length=15, description="voters that granted")]
    proof: Reason


@event("leader_lost")
class LeaderLost(EventData, frozen=True, kw_only=True):
    """A decider stopped leading: its lease ran out, was refused or was handed over."""

    leader: Name
    term: Term
    reason: Reason


@event("decision_made")
class DecisionMade(EventData, frozen=True, kw_only=True):
    """The decider will move or start a group. Rule, evidence and rejected alternatives included."""

    group: GroupName
    kind: MoveKind
    rule: Annotated[str, Meta(max_length=100, description="the rule, a function of that name")]
    intent: IntentId
    source: NodeName | None
    target: NodeName | None
    epoch: Epoch
    evidence: Annotated[
        list[EventId], Meta(max_length=32, description="the events the decision rests on")
    ]
    alternatives: Annotated[list[Alternative], Meta(max_length=32)]


@event("decision_refused")
class DecisionRefused(EventData, frozen=True, kw_only=True):
    """Something called for an action and the decider will not take it, for this reason."""

    group: GroupName | None
    node: NodeName | None
    rule: Annotated[str, Meta(max_length=100, description="the rule, a function of that name")]
    reason: Reason
    evidence: Annotated[list[EventId], Meta(max_length=32)] = []


@event("fence_started")
class FenceStarted(EventData, frozen=True, kw_only=True):
    """A fence agent is run against this boot of a node. `status` only looks; `off` acts."""

    node: NodeName
    boot: BootId
    action: Annotated[str, Meta(max_length=20, description="status or off")]
    agent: Annotated[str, Meta(max_length=200)]
    expires_in: Annotated[
        Seconds, Meta(description="after which, or when it no longer leads, the run is ended")
    ] = 0.0


@event("fence_finished")
class FenceFinished(EventData, frozen=True, kw_only=True):
    """What the fence agent answered. Only `off`, confirmed by status, proves anything."""

    node: NodeName
    boot: BootId
    action: Annotated[str, Meta(max_length=20)]
    agent: Annotated[str, Meta(max_length=200)]
    outcome: Annotated[str, Meta(max_length=20, description="off, on, failed or timeout")]
    detail: Reason
    took: Seconds
    devices: Annotated[
        list[str],
        Meta(max_length=8, description="those that gave the outcome: agent, plug and address"),
    ] = []


@event("lease_revoked")
class LeaseRevoked(EventData, frozen=True, kw_only=True):
    """A majority of voters took a node's lease away for good; what proved it dead stands beside."""

    node: NodeName
    boot: BootId
    term: Term
    votes: Annotated[list[Name], Meta(max_length=15)]
    proof: Annotated[str, Meta(max_length=40, description="kind of the fence proof")]
    proof_detail: Reason


@event("ownership_changed")
class OwnershipChanged(EventData, frozen=True, kw_only=True):
    """The group's ownership entry was changed by compare-and-set."""

    group: GroupName
    epoch: Epoch
    owner: NodeName | None
    previous_owner: NodeName | None
    phase: Annotated[str, Meta(max_length=20, description="phase of the ownership record")]
    revision: Annotated[int, Meta(ge=0, description="revision of the KV entry")]


@event("order_sent")
class OrderSent(EventData, frozen=True, kw_only=True):
    """The decider orders a node's hands to start or stop a group."""

    group: GroupName
    node: NodeName
    action: Annotated[str, Meta(max_length=20, description="start or stop")]
    epoch: Epoch
    intent: IntentId


@event("move_completed")
class MoveCompleted(EventData, frozen=True, kw_only=True):
    """The group runs and is verified where the decision put it."""

    group: GroupName
    kind: MoveKind
    intent: IntentId
    node: NodeName
    epoch: Epoch
    total: Seconds
    phases: Annotated[
        dict[str, float],
        Meta(max_length=16, description="seconds in each phase: suspect, decide, fence, start"),
    ]


@event("move_failed")
class MoveFailed(EventData, frozen=True, kw_only=True):
    """A step of a move failed; what the decider does next is in its next decision."""

    group: GroupName
    kind: MoveKind
    intent: IntentId
    node: NodeName
    epoch: Epoch
    step: Annotated[str, Meta(max_length=20)]
    reason: Reason


@event("group_held")
class GroupHeld(EventData, frozen=True, kw_only=True):
    """The group stays down until an operator or a change of circumstances releases it."""

    group: GroupName
    epoch: Epoch
    reason: Reason
