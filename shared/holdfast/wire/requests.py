"""What is asked of deciders: `ha.admin.decider`."""

from typing import Annotated, Literal

from msgspec import Meta

from holdfast.events.fields import BootId, GroupName, Name, NodeName, Reason
from holdfast.events.policies import Scope
from holdfast.wire.message import Message


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
    signed_at: Annotated[
        str,
        Meta(max_length=40, description="wall time; it counts for some minutes"),
    ] = ""


AdminRequest = (
    StatusRequest | LeadRequest | GroupRequest | StandingRequest | SnapshotRequest | FenceRequest
)
