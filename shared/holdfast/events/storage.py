"""What happens to volumes."""

from typing import Annotated, Literal

from msgspec import Meta

from holdfast.events.fields import Epoch, NodeName, Reason, Seconds, VolumeName
from holdfast.events.registry import EventData, event


@event("volume_activated")
class VolumeActivated(EventData, frozen=True, kw_only=True):
    """A volume is usable on this node at this epoch; older epochs are refused from now on."""

    volume: VolumeName
    node: NodeName
    epoch: Epoch
    driver: Annotated[str, Meta(max_length=40)]
    took: Seconds


@event("volume_released")
class VolumeReleased(EventData, frozen=True, kw_only=True):
    """A volume is no longer used on this node."""

    volume: VolumeName
    node: NodeName
    epoch: Epoch


@event("volume_refused")
class VolumeRefused(EventData, frozen=True, kw_only=True):
    """A volume was not activated: stale epoch, unreachable or failing storage."""

    volume: VolumeName
    node: NodeName
    epoch: Epoch
    reason: Reason


Text = Annotated[str, Meta(max_length=200)]
Bytes = Annotated[int, Meta(ge=0, description="bytes")]
Nodes = Annotated[list[NodeName], Meta(max_length=15)]


class _Replicated(EventData, frozen=True, kw_only=True):
    volume: VolumeName
    node: NodeName
    """Whose storage service says so; of what concerns another member, the primary's."""
    epoch: Epoch


@event("volume_created")
class VolumeCreated(_Replicated, frozen=True, kw_only=True):
    """A replicated volume is on record; its content is that of the node's copy."""

    size: Bytes
    members: Nodes


@event("volume_set_changed")
class VolumeSetChanged(_Replicated, frozen=True, kw_only=True):
    """The record of a volume was changed: who must have every write before it is acknowledged."""

    change: Literal["promoted", "taken_out", "taken_in", "added", "removed", "resized"]
    member: NodeName
    in_sync: Nodes
    following: Nodes = []
    size: Bytes


@event("volume_loss_accepted")
class VolumeLossAccepted(_Replicated, frozen=True, kw_only=True):
    """A copy that lacks acknowledged writes was promoted, as the configuration or a person said."""

    loss: Annotated[str, Meta(max_length=1200)]


@event("volume_member_lost")
class VolumeMemberLost(_Replicated, frozen=True, kw_only=True):
    """The primary does not reach a member; it goes on without it once the record says so."""

    member: NodeName
    reason: Reason


@event("volume_member_joined")
class VolumeMemberJoined(_Replicated, frozen=True, kw_only=True):
    """A member has everything again: it is in sync, or follows within its bound."""

    member: NodeName


@event("volume_frozen")
class VolumeFrozen(_Replicated, frozen=True, kw_only=True):
    """Writes wait: a member is missing and the record does not say yet that it may be."""

    members: Nodes


@event("volume_thawed")
class VolumeThawed(_Replicated, frozen=True, kw_only=True):
    """Writes go on."""


@event("volume_resync_started")
class VolumeResyncStarted(_Replicated, frozen=True, kw_only=True):
    """A member is compared with the primary, and brought up to date where it differs."""

    member: NodeName
    bytes: Bytes
    in_place: bool


@event("volume_resync_finished")
class VolumeResyncFinished(_Replicated, frozen=True, kw_only=True):
    """A member is up to date; `bytes` had to be sent."""

    member: NodeName
    bytes: Bytes


@event("volume_deposed")
class VolumeDeposed(_Replicated, frozen=True, kw_only=True):
    """A primary found that there is a newer one; it acknowledges nothing any more."""

    successor: Epoch


@event("volume_disk_failed")
class VolumeDiskFailed(_Replicated, frozen=True, kw_only=True):
    """The disk under a copy failed; it is used no more until its data path is started anew."""

    reason: Reason


@event("volume_fallback_lost")
class VolumeFallbackLost(_Replicated, frozen=True, kw_only=True):
    """The undo log of a resync is gone: until the resync is done there is no way back."""


@event("volume_fell_back")
class VolumeFellBack(_Replicated, frozen=True, kw_only=True):
    """An unfinished resync was undone: the copy is as consistent, and as old, as before it."""


@event("volume_verified")
class VolumeVerified(_Replicated, frozen=True, kw_only=True):
    """A member was compared with the primary, block by block."""

    member: NodeName
    differences: Annotated[int, Meta(ge=0, description="ranges that differ")]
    ranges: Annotated[list[str], Meta(max_length=16)] = []
    """The first of them, `offset+length` in bytes."""
    unreadable: Annotated[list[str], Meta(max_length=16)] = []
    """The first places that the primary cannot read on its own disk, and so did not compare."""
    complete: bool = True
    """False: there are more than were counted, and `--repair` left them; compare again."""


@event("volume_verify_cut")
class VolumeVerifyCut(_Replicated, frozen=True, kw_only=True):
    """A comparison ended before its time, as its member was lost: it says nothing of the rest."""

    member: NodeName
    reason: Reason


@event("volume_repaired")
class VolumeRepaired(_Replicated, frozen=True, kw_only=True):
    """What a comparison with `--repair` found was overwritten on both, or was not."""

    member: NodeName
    ranges: Annotated[int, Meta(ge=0, description="that differed")]
    problem: Annotated[str, Meta(max_length=1000)] = ""
    """Why not; empty: it was."""


@event("volume_data_path_ended")
class VolumeDataPathEnded(_Replicated, frozen=True, kw_only=True):
    """The process that moves the data has ended, perhaps killed because it stood still.

    It is started again.
    """

    reason: Reason
