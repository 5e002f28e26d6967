"""What groups ask of each other and of their nodes: affinity, capacity, dependencies. Pure.

A group counts at its owner and, while it moves, at its target, too: so two decisions of one moment
cannot both take the last room, and what is kept apart never meets.
"""

from holdfast.failover_decider.state import GroupView, State
from holdfast.ownership import OwnershipRecord, Phase

UNDER_WAY = (Phase.FENCING, Phase.STOPPING, Phase.STARTING)


def forbids(state: State, group: str, node: str) -> str | None:
    """Why a required constraint keeps a group off a node; None when nothing does."""
    for other in apart(state, group):
        if node in _places(state.groups[other]):
            return f"{other} is there, from which it is kept apart"
    for other in state.cluster.groups[group].together_with:
        heading = _heading(state.groups[other])
        if heading not in (None, node):
            return f"it stays together with {other}, which is on {heading}"
    room, load = free(state, group, node), state.cluster.groups[group].load
    if room is not None and room < load:
        capacity = state.cluster.nodes[node].capacity
        return f"of its capacity of {capacity:g} only {room:g} is free, and it takes {load:g}"
    return None


def misgivings(state: State, group: str, node: str) -> list[str]:
    """Wishes that the node would not fulfil."""
    policy, groups = state.cluster.groups[group], state.groups
    found = [
        f"{other} is there, from which it is rather kept apart"
        for other in policy.prefer_apart_from
        if node in _places(groups[other])
    ]
    return found + [
        f"it is rather together with {other}, which is on {heading}"
        for other in policy.prefer_together_with
        if (heading := _heading(groups[other])) not in (None, node)
    ]


def misplaced_because(state: State, view: GroupView) -> str | None:
    """Which of the group's own required affinities does not hold where it runs.

    Only others that have come to rest count: one on its way may be on its way to put it right.
    """
    policy, owner = state.cluster.groups[view.group], view.record.owner
    for other in policy.apart_from:
        if _settled_on(state.groups[other]) == owner:
            return f"{other} is also on {owner}, from which it is kept apart"
    for other in policy.together_with:
        place = _settled_on(state.groups[other])
        if place not in (None, owner):
            return f"it stays together with {other}, which is on {place}"
    return None


def free(state: State, group: str, node: str) -> float | None:
    """What other groups leave of a node's capacity; None: it has no limit."""
    capacity = state.cluster.nodes[node].capacity
    if capacity is None:
        return None
    return capacity - sum(
        state.cluster.groups[other].load
        for other, view in state.groups.items()
        if other != group and node in _places(view)
    )


def apart(state: State, group: str) -> list[str]:
    """The groups that must not share a node with this one, whichever of the two says so."""
    groups = state.cluster.groups
    return [
        other
        for other, policy in groups.items()
        if other in groups[group].apart_from or group in policy.apart_from
    ]


def missing(state: State, group: str) -> list[str]:
    """The required groups that are not active."""
    return [
        other
        for other in state.cluster.groups[group].requires
        if _settled_on(state.groups[other]) is None
    ]


def waits_for(names: list[str]) -> str:
    """The sentence about `missing`."""
    return f"it requires {', '.join(names)}, not active now"


def dependents(state: State, group: str) -> list[str]:
    """The groups that run, or are about to, and require this one."""
    return [
        other
        for other, policy in state.cluster.groups.items()
        if group in policy.requires and _places(state.groups[other])
    ]


def unplaced_companions(state: State, group: str) -> list[str]:
    """The groups that decide where this one goes, and have not been placed yet."""
    return [
        other
        for other in state.cluster.groups[group].together_with
        if not _places(state.groups[other]) and not state.groups[other].record.ordered_down
    ]


def _settled_on(view: GroupView) -> str | None:
    record = view.record
    return record.owner if record.phase == Phase.ACTIVE and view.writing is None else None


def _places(view: GroupView) -> set[str]:
    record = view.writing or view.record
    found = {record.owner, _target(record)}
    return {node for node in found if node is not None}


def _heading(view: GroupView) -> str | None:
    record = view.writing or view.record
    return _target(record) or record.owner


def _target(record: OwnershipRecord) -> str | None:
    if record.intent is None or record.phase not in UNDER_WAY:
        return None
    return record.intent.target
