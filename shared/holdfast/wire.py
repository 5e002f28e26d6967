"""Messages on the bus that are not events: pulses, lease votes, orders, administration.

They are small, bounded and typed; `wire` is their version, refused when it is not ours. Nothing
here is trusted because of where it comes from: every order carries epoch, boot and expiry.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.events.fields import (
    BootId,
    Epoch,
    EventId,
    GroupName,
    Health,
    IntentId,
    Layer,
    Name,
    NodeName,
    Reason,
    ResourceName,
    Term,
    VolumeName,
)
from holdfast.events.policies import Scope
from holdfast.volume_wire import VolumePulse, VolumeStatus
from holdfast.wire_message import Message

MAX_MESSAGE_BYTES = 64 * 1024
MAX_SNAPSHOT_BYTES = 47 * 1024
"""Of a snapshot, which base64 makes a third longer."""


# --- ha.pulse.<node> -------------------------------------------------------------------------


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


# --- ha.lease.<voter> ------------------------------------------------------------------------


class FenceProof(msgspec.Struct, frozen=True, kw_only=True, tag_field="proof"):
    """Why this boot of this node cannot act any more. Nothing else lets a group start elsewhere."""

    node: NodeName
    boot: BootId


class FencedOff(FenceProof, frozen=True, kw_only=True, tag="fenced_off"):
    """A fence agent reported status off after, or without, an `off`."""

    agent: Annotated[str, Meta(max_length=200)]
    event: EventId
    devices: Annotated[list[str], Meta(max_length=8)] = []


class WatchdogExpired(FenceProof, frozen=True, kw_only=True, tag="watchdog_expired"):
    """An armed watchdog has reset it: proof once the majority's promises have run out as well."""

    timeout: Annotated[float, Meta(gt=0, le=60)]


class OperatorWord(FenceProof, frozen=True, kw_only=True, tag="operator_word"):
    """An operator vouches, by the signature of a key of the cluster, that it is off."""

    operator: Annotated[str, Meta(max_length=100)]
    key: Annotated[str, Meta(max_length=100)]
    event: EventId


class LeaseExpired(FenceProof, frozen=True, kw_only=True, tag="lease_expired"):
    """The majority's promises have run out: proof only in a cluster configured `lease-only`."""


Proof = FencedOff | LeaseExpired | WatchdogExpired | OperatorWord


class Renew(Message, frozen=True, kw_only=True, tag="renew"):
    """The holder asks for a fresh promise at the term it holds."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Name
    boot: BootId
    ttl: Annotated[float, Meta(gt=0, le=60)]
    round: Annotated[int, Meta(ge=0)]


class Claim(Message, frozen=True, kw_only=True, tag="claim"):
    """Somebody asks to take a lease in a new term; an empty holder revokes it for good."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Annotated[str, Meta(max_length=64)]
    boot: Annotated[str, Meta(max_length=100)]
    ttl: Annotated[float, Meta(gt=0, le=60)]
    round: Annotated[int, Meta(ge=0)]
    proof: FencedOff | None = None


class Release(Message, frozen=True, kw_only=True, tag="release"):
    """The holder gives its lease up; others need not wait for it to run out."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Name
    boot: BootId
    round: Annotated[int, Meta(ge=0)] = 0
    successor: Annotated[str, Meta(max_length=64, description="who is meant to be next")] = ""


class Learn(Message, frozen=True, kw_only=True, tag="learn"):
    """A voter without memory asks another for the terms it has stored."""

    voter: Name


LeaseRequest = Renew | Claim | Release | Learn


class LeaseTerm(msgspec.Struct, frozen=True, kw_only=True):
    """What a voter stores durably of one lease: the highest term it agreed to, and for whom."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term = 0
    holder: Annotated[str, Meta(max_length=64)] = ""
    boot: Annotated[str, Meta(max_length=100)] = ""


class Vote(Message, frozen=True, kw_only=True, tag="vote"):
    """A voter's answer. When refused, `stored` tells the asker what the voter knows."""

    voter: Name
    round: int
    granted: bool
    stored: LeaseTerm
    reason: Reason = ""
    wait: Annotated[float, Meta(ge=0, description="seconds until asking again may help")] = 0.0


class Terms(Message, frozen=True, kw_only=True, tag="terms"):
    """Answer to Learn. A blank voter says so and teaches nothing."""

    voter: Name
    blank: bool
    terms: Annotated[list[LeaseTerm], Meta(max_length=256)]


LeaseReply = Vote | Terms


# --- ha.commands.<node>.recovery -------------------------------------------------------------


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


# --- ha.commands.<node>.monitor --------------------------------------------------------------


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


# --- ha.commands.<node>.storage_replication --------------------------------------------------


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


# --- ha.admin.decider ------------------------------------------------------------------------


class StatusRequest(Message, frozen=True, kw_only=True, tag="status"):
    """What the leading decider sees now; any decider that does not lead stays silent."""


class LeadRequest(Message, frozen=True, kw_only=True, tag="lead"):
    """Hand the leadership over to the decider of this place."""

    place: Name
    operator: Annotated[str, Meta(max_length=100)]


class GroupRequest(Message, frozen=True, kw_only=True, tag="group"):
    """An operator's word about one group: move it, stop it and keep it stopped, start it again."""

    action: Literal["switchover", "stop", "start"]
    group: GroupName
    target: NodeName | None = None
    operator: Annotated[str, Meta(max_length=100)]


class MaintenanceRequest(Message, frozen=True, kw_only=True, tag="maintenance"):
    """Take cluster, node or group into maintenance for `seconds` (on), or end it (off)."""

    action: Literal["on", "off"]
    scope: Scope
    name: Name
    seconds: Annotated[float, Meta(gt=0, le=31 * 86_400)] | None = None
    reason: Reason = ""
    operator: Annotated[str, Meta(max_length=100)]


class ClearRequest(Message, frozen=True, kw_only=True, tag="clear"):
    """Forget what failed on a node or in a group: its quarantine ends, the decider tries again."""

    scope: Literal["node", "group"]
    name: Name
    operator: Annotated[str, Meta(max_length=100)]


StandingRequest = MaintenanceRequest | ClearRequest


class SnapshotRequest(Message, frozen=True, kw_only=True, tag="snapshot"):
    """All that the decider of one place and its voter know; leading or not, it answers."""

    place: Name


class FenceRequest(Message, frozen=True, kw_only=True, tag="fence"):
    """An operator's signed word about one boot of a node; `holdfast.signed_word` says what counts.

    `confirm`: it is off, I saw to it. `allow`: switch it off, although many are off already.
    """

    action: Literal["confirm", "allow"]
    node: NodeName
    boot: BootId
    operator: Annotated[str, Meta(max_length=100)]
    key: Annotated[str, Meta(max_length=100, description="the operator's public nkey")]
    signature: Annotated[str, Meta(max_length=200, description="base64")]


AdminRequest = (
    StatusRequest | LeadRequest | GroupRequest | StandingRequest | SnapshotRequest | FenceRequest
)


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
