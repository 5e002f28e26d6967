"""What the layers say: the signals from which every automatic action descends."""

from typing import Annotated

from msgspec import Meta

from holdfast.events.fields import BootId, Health, Layer, NodeName, Reason, Seconds
from holdfast.events.registry import EventData, event


@event("health_signal")
class HealthSignal(EventData, frozen=True, kw_only=True):
    """A probe's view of an entity changed. The entity is the event's subject.

    `observer` is the place that saw it; `node` the node it is about. `instance` names the very
    process or object probed, so that a late signal about a predecessor can be told apart.
    """

    layer: Layer
    node: NodeName
    observer: NodeName
    probe: Annotated[str, Meta(max_length=100, description="which probe, e.g. process, http, psi")]
    state: Health
    previous: Health
    reason: Reason
    instance: Annotated[str, Meta(max_length=100, description="e.g. pid:start ticks")] = ""
    measurements: Annotated[
        dict[str, float], Meta(max_length=32, description="what was measured, with units in names")
    ] = {}


@event("node_seen")
class NodeSeen(EventData, frozen=True, kw_only=True):
    """The deciders hear a node for the first time, or in a new boot."""

    node: NodeName
    boot: BootId
    previous_boot: BootId | None = None


@event("node_suspected")
class NodeSuspected(EventData, frozen=True, kw_only=True):
    """A node has been silent for the suspicion time. Nothing has been done to it yet."""

    node: NodeName
    boot: BootId
    silent_for: Seconds


@event("node_cleared")
class NodeCleared(EventData, frozen=True, kw_only=True):
    """A suspected node is heard again, same boot, before anything was done to it."""

    node: NodeName
    boot: BootId
    silent_for: Seconds
