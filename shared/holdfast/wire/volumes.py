"""Messages about replicated volumes: what pulses say of them, and what operators ask for.

Sizes in bytes, times in seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.config.volumes import MAX_MEMBERS
from holdfast.events.fields import BootId, Epoch, EventId, NodeName, Reason, VolumeName
from holdfast.wire.message import Message

Text = Annotated[str, Meta(max_length=200)]
Count = Annotated[int, Meta(ge=0)]

# --- in the pulse of storage_replication -----------------------------------------------------


class Comparing(msgspec.Struct, frozen=True, kw_only=True):
    """A resync or a verify under way."""

    done: Count
    total: Count
    eta: float | None = None
    """Seconds left; None: nobody knows yet."""


class MemberPulse(msgspec.Struct, frozen=True, kw_only=True):
    """Another member as the primary sees it."""

    node: NodeName
    connected: bool
    phase: Text
    behind: Count = 0
    """Bytes that may differ."""
    behind_seconds: float = 0.0
    """Of one that the record does not count: so long ago it had every write. 0: nobody knows."""
    silent: float = 0.0
    """Seconds without a word, once that is remarkable; it is not lost yet."""
    lag_bytes: Count = 0
    lag_seconds: float = 0.0
    """Async: written here, not applied there."""
    resync: Comparing | None = None
    verify: Comparing | None = None
    problem: Text = ""


class VolumePulse(msgspec.Struct, frozen=True, kw_only=True):
    """One volume as a member's storage service sees it. A hint: the record decides at promotion."""

    volume: VolumeName
    standing: Literal["in_sync", "following", "accepted", "behind", "none"]
    """What the record says of this member. `accepted`: an operator accepted what it lacks;
    `none`: there is no record, or it does not name this member."""
    problem: Text = ""
    """Why it cannot be promoted, whatever the record says; empty: it can."""
    intact: bool = True
    """Nothing that it said it had is lost; False after a power loss, until it was compared."""
    role: Literal["primary", "replica", "off"]
    """Of the data path; `off`: it does not run."""
    epoch: Epoch
    """That the copy has accepted; 0: its data path does not run."""
    record: Epoch = 0
    """The record's, as it is known here; never less than that of any copy, unless it is lost or of
    the past."""
    size: Count
    frozen: Text = ""
    """Of a primary: why writes wait."""
    in_sync: Annotated[list[NodeName], Meta(max_length=MAX_MEMBERS)] = []
    """According to the record, as far as it is known here."""
    following: Annotated[list[NodeName], Meta(max_length=MAX_MEMBERS)] = []
    members: Annotated[list[MemberPulse], Meta(max_length=MAX_MEMBERS)] = []
    """Of a primary: the others."""
    clients: Count = 0
    """Of a primary: NBD connections."""
    socket: Annotated[str, Meta(max_length=4096)] = ""
    """Of a primary: where NBD clients on its node find the volume."""
    export: Annotated[str, Meta(max_length=200)] = ""
    """Its name there."""


class VolumeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's storage service last said of a volume."""

    node: NodeName
    heard: bool
    """Whether that node is alive; if not, this is what it said last."""
    pulse: VolumePulse


# --- ha.commands.<node>.storage_replication, from this node's recovery ------------------------


class NodeLease(Message, frozen=True, kw_only=True, tag="node_lease"):
    """The node's lease lasts until then: a point in time, so a late message says nothing wrong.

    No reply; repeated with each renewal.
    """

    node: str
    boot: BootId
    since: Annotated[float, Meta(ge=0, description="it has lasted since then, without a gap")]
    valid_until: Annotated[float, Meta(ge=0, description="both in this node's monotonic seconds")]


# --- ha.admin.storage-<node> ------------------------------------------------------------------


class _VolumeRequest(Message, frozen=True, kw_only=True):
    volume: VolumeName
    operator: Annotated[str, Meta(max_length=100)]


class CreateVolume(_VolumeRequest, frozen=True, kw_only=True, tag="create_volume"):
    """Make the record, with the asked node's copy as the content; the others copy it."""

    overwrite: bool = False
    """Also over what their files or devices hold."""


class ChangeMember(_VolumeRequest, frozen=True, kw_only=True, tag="change_member"):
    """Add a member that the cluster file names, or remove one. Asked of the primary's node."""

    action: Literal["add", "remove"]
    member: NodeName
    overwrite: bool = False
    """As in `CreateVolume`."""


class ResizeVolume(_VolumeRequest, frozen=True, kw_only=True, tag="resize_volume"):
    """Grow to the size in the cluster file. Asked of the primary's node."""


class VerifyVolume(_VolumeRequest, frozen=True, kw_only=True, tag="verify_volume"):
    """Compare a member with the primary, which is asked, in the background."""

    member: NodeName
    repair: bool = False


class FallBackVolume(_VolumeRequest, frozen=True, kw_only=True, tag="fall_back_volume"):
    """Undo an unfinished resync on the asked node."""


class AcceptLoss(_VolumeRequest, frozen=True, kw_only=True, tag="accept_loss"):
    """The asked node's copy may be promoted although it lacks acknowledged writes."""

    stated: Reason = ""
    """What the operator was told would be lost."""


VolumeRequest = (
    CreateVolume | ChangeMember | ResizeVolume | VerifyVolume | FallBackVolume | AcceptLoss
)


class VolumeAnswer(Message, frozen=True, kw_only=True, tag="volume_answer"):
    """How it ended; `incident` leads to what was done."""

    ok: bool
    text: Reason = ""
    incident: EventId | None = None
