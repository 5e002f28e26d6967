"""Where a group may run: pure, and it says of every node it passes over why."""

import msgspec

from holdfast.config.model import VolumeResource
from holdfast.events.fields import Health, Layer, volume_entity
from holdfast.events.ownership import Alternative
from holdfast.failover_decider.state import NodeView, State


class Choice(msgspec.Struct, frozen=True):
    """The best node, if there is one, and the reasons against the others."""

    target: str | None
    alternatives: list[Alternative]

    def reasons(self, node: str | None = None) -> str:
        """Why not, in words: of one node, or of all that were passed over."""
        said = [a for a in self.alternatives if node in (None, a.choice)] or self.alternatives
        return "; ".join(f"{a.choice}: {a.rejected_because}" for a in said)


def choose(
    state: State, group: str, now: float, tried: list[str], wanted: str | None = None
) -> Choice:
    """The wanted node if it may run the group, else the first of the group's preference that may.

    Healthy nodes come before degraded ones. `tried` are boots on which the group already failed
    in this move.
    """
    rejected: list[Alternative] = []
    eligible: list[NodeView] = []
    for name in state.cluster.groups[group].nodes:
        view = state.nodes[name]
        reason = _unfit(state, group, view, now, tried)
        if reason is None:
            eligible.append(view)
        else:
            rejected.append(Alternative(choice=name, rejected_because=reason))
    if not eligible:
        return Choice(None, rejected)
    best = min(eligible, key=lambda view: (view.node != wanted, bool(_complaints(view))))
    for view in eligible:
        if view is not best:
            complaints = _complaints(view) or [f"{best.node} comes before it"]
            rejected.append(Alternative(choice=view.node, rejected_because=complaints[0]))
    return Choice(best.node, rejected)


def alive(state: State, view: NodeView, now: float) -> bool:
    """Whether the node beats and nothing has been begun against it."""
    fresh = view.clock > 0 and now - view.heard < state.timing.suspect_after
    return view.boot is not None and view.suspicion is None and view.revoked is None and fresh


def _unfit(state: State, group: str, view: NodeView, now: float, tried: list[str]) -> str | None:
    if view.boot is None:
        return "it has not been heard"
    if not alive(state, view, now):
        return "its pulse is no longer heard"
    if view.hands is None or not view.hands.lease_valid:
        return "its hands hold no valid lease"
    if view.boot in tried:
        return "the group already failed there"
    volumes = {
        volume_entity(resource.volume)
        for resource in state.cluster.groups[group].resources.values()
        if isinstance(resource, VolumeResource)
    }
    for signals in view.signals.values():
        for signal in signals:
            if signal.layer == Layer.STORAGE and signal.entity in volumes:
                return f"its {signal.entity} is {signal.state}: {signal.reason}"
    return None


def _complaints(view: NodeView) -> list[str]:
    """What the layers below the applications have to say against a node."""
    return [
        f"{signal.layer}: {signal.reason}"
        for signals in view.signals.values()
        for signal in signals
        if signal.node == view.node
        and signal.layer != Layer.APPLICATION
        and signal.state in (Health.DEGRADED, Health.FAILED)
    ]
