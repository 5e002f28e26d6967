"""What deciders answer on `ha.admin.decider`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import Epoch, EventId, GroupName, Name, NodeName, Reason, Term
from holdfast.events.policies import Scope
from holdfast.wire.message import Message
from holdfast.wire.pulses import SignalSummary, WatchdogReport
from holdfast.wire.volumes import VolumeStatus

MAX_SNAPSHOT_BYTES = 47 * 1024
"""Of a snapshot, which base64 makes a third longer."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node as the leader sees it."""

    node: NodeName
    state: Literal["alive", "suspected", "dead", "unseen"]
    boot: str
    silent_for: float
    lease_valid: bool
    term: Term
    signals: list[SignalSummary]
    watchdog: WatchdogReport | None = None


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One group as recorded and as its node reports it."""

    group: GroupName
    owner: str | None
    epoch: Epoch
    phase: str
    reported: str
    reason: str


class PathStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One network as one node sees it: the places it does not reach over it, but over another."""

    network: Name
    node: NodeName
    lost: list[Name]


class MarkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance or a quarantine in force. `left`: seconds until it ends by itself."""

    kind: Literal["maintenance", "quarantine"]
    scope: Scope
    name: Name
    reason: Reason
    operator: str
    incident: EventId
    left: float | None


class LossStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose loss could not be borne (N+1), and which groups would have no place."""

    node: NodeName
    reason: Reason


class StatusReply(Message, frozen=True, kw_only=True, tag="status_reply"):
    """The cluster as its leader sees it."""

    cluster: Name
    leader: Name
    leader_term: Term
    nodes: list[NodeStatus]
    groups: list[GroupStatus]
    silent_voters: list[Name] = []
    paths: list[PathStatus] = []
    """Of every network and node; empty if there is only one network."""
    marks: list[MarkStatus] = []
    unbearable: list[LossStatus] = []
    volumes: list[VolumeStatus] = []


class SnapshotReply(Message, frozen=True, kw_only=True, tag="snapshot_reply"):
    """A compressed snapshot, for `holdfast whatif`; options of fence devices are left out."""

    place: Name
    packed: Annotated[bytes, Meta(max_length=MAX_SNAPSHOT_BYTES)]


class Begun(Message, frozen=True, kw_only=True, tag="begun"):
    """A request was decided and is being carried out; `incident` leads to all that follows."""

    incident: EventId
    target: NodeName | None


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """A request that was not carried out, and why."""

    reason: Reason
