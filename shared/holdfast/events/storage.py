"""What happens to volumes."""

from typing import Annotated

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
