"""Where a group may run: pure, and it says of every node it passes over why."""

from itertools import chain

import msgspec

from holdfast.config.model import VolumeResource
from holdfast.config.volume_check import replicated
from holdfast.events.fields import Health, Layer, volume_entity
from holdfast.events.ownership import Alternative
from holdfast.events.policies import Scope
from holdfast.failover_decider import constraints, copies
from holdfast.failover_decider.state import NodeView, State
from holdfast.ownership import Phase
from holdfast.standing import Mark


class Choice(msgspec.Struct, frozen=True):
    """The best node, if there is one, and the reasons against the others."""

    target: str | None
    alternatives: list[Alternative]

    def reasons(self, node: str | None = None) -> str:
        """Why not, in words: of one node, or of all that were passed over."""
        said = [a for a in self.alternatives if node in (None, a.choice)] or self.alternatives
        return "; ".join(f"{a.choice}: {a.rejected_because}" for a in said)

    def nobody(self) -> str:
        """That no node may run it, and why each may not."""
        return f"no node may run it: {self.reasons()}"[:1000]


def choose(
    state: State,
    group: str,
    now: float,
    tried: list[str],
    wanted: str | None = None,
    home: str | None = None,
    orderly: bool = False,
) -> Choice:
    """The wanted node if it may run the group, else the first of the group's preference that may.

    Nodes whose copy of a volume lacks something come last, before them those in quarantine, then
    degraded ones, then those that leave a wish open.
    `tried` are boots on which the group already failed in this move. `home` is where it ran before
    the move: it may go back there although somebody works on that node. `orderly`: it is stopped
    where it runs before it starts elsewhere.
    """
    rejected: list[Alternative] = []
    eligible: list[tuple[NodeView, list[list[str]]]] = []
    for name in state.cluster.groups[group].nodes:
        view = state.nodes[name]
        reason = _unfit(state, group, view, now, tried, home, orderly)
        if reason is None:
            eligible.append((view, _drawbacks(state, group, view)))
        else:
            rejected.append(Alternative(choice=name, rejected_because=reason))
    if not eligible:
        return Choice(None, rejected)
    best, _ = min(eligible, key=lambda one: (one[0].node != wanted, *map(bool, one[1])))
    for view, drawbacks in eligible:
        if view is not best:
            said = [*chain(*drawbacks), f"{best.node} comes before it"]
            rejected.append(Alternative(choice=view.node, rejected_because=said[0]))
    return Choice(best.node, rejected)


def alive(state: State, view: NodeView, now: float) -> bool:
    """Whether the node beats and nothing has been begun against it."""
    return (
        view.boot is not None
        and view.suspicion is None
        and view.revoked is None
        and view.clock > 0
        and now - view.heard < state.timing.suspect_after
    )


def well(state: State, view: NodeView, now: float) -> bool:
    """Whether nothing at all speaks against the node."""
    holds = view.hands is not None and view.hands.lease_valid
    return alive(state, view, now) and holds and not _complaints(view)


def marked(state: State, kind: str, scope: Scope, name: str | None) -> Mark | None:
    """The maintenance or quarantine on that thing, if it is stored."""
    for mark in state.standing.stored.marks:
        if (mark.kind, mark.scope, mark.name) == (kind, scope, name):
            return mark
    return None


def _unfit(
    state: State,
    group: str,
    view: NodeView,
    now: float,
    tried: list[str],
    home: str | None,
    orderly: bool,
) -> str | None:
    if view.boot is None:
        return "it has not been heard"
    if not alive(state, view, now):
        return "its pulse is no longer heard"
    if view.hands is None or not view.hands.lease_valid:
        return "its hands hold no valid lease"
    if view.hands.watchdog is not None and view.hands.watchdog.problem:
        return f"its watchdog cannot be armed: {view.hands.watchdog.problem}"
    if view.boot in tried:
        record = state.groups[group].record
        runs = orderly and record.phase == Phase.ACTIVE and record.owner == view.node
        return "it runs there now" if runs else "the group already failed there"
    work = marked(state, "maintenance", Scope.NODE, view.node)
    if work is not None and view.node != home:
        return f"it is in maintenance: {work.reason}"
    return (
        _without_storage(state, group, view)
        or copies.forbid(state, group, view, orderly=orderly)
        or constraints.forbids(state, group, view.node)
    )


def _without_storage(state: State, group: str, view: NodeView) -> str | None:
    complaints = [
        signal
        for signals in view.signals.values()
        for signal in signals
        if signal.layer == Layer.STORAGE
    ]
    if not complaints:
        return None
    volumes = {
        volume_entity(resource.volume)
        for resource in state.cluster.groups[group].resources.values()
        if isinstance(resource, VolumeResource)
    } - {volume_entity(name) for name in replicated(state.cluster)}
    for signal in complaints:
        if signal.entity in volumes:
            return f"its {signal.entity} is {signal.state}: {signal.reason}"
    return None


def _drawbacks(state: State, group: str, view: NodeView) -> list[list[str]]:
    """What speaks against a node that may run the group, the weightiest first."""
    mark = marked(state, "quarantine", Scope.NODE, view.node)
    quarantine = [f"it is in quarantine: {mark.reason}"] if mark else []
    return [
        copies.misgivings(state, group, view),
        quarantine,
        _complaints(view),
        constraints.misgivings(state, group, view.node),
    ]


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
