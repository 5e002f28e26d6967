"""Mass fencing is held: when most of the cluster seems lost, the one who is lost may be ourselves.

Nodes that fall silent together are more often a broken network than broken nodes. So no more than
`fence_limit` of them are switched off, or wait to be, within `fence_window`; the rest is held,
with a refusal, until some are heard again, the window has passed, or an operator allows it.

A decider knows whom it ordered off itself. Of other leaders' orders it knows from their records, on
its own clock: whoever was to be fenced counts, unless that was called off. One that starts anew
counts them from when it reads of them.
"""

from holdfast.config.model import ClusterFile
from holdfast.failover_decider.state import NodeView, State
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace


def restraint(state: State, view: NodeView, now: float) -> str:
    """Why this node may not be switched off now; empty if it may."""
    if view.suspicion is not None and view.suspicion.allowed:
        return ""
    if view.node in _within(state, state.switched_off, now):
        return ""  # what was begun against it may be repeated
    recent = _recently_off(state, now)
    at_once = sorted({view.node, *recent, *filter(lambda n: _at_stake(state, n), state.nodes)})
    allowed = limit(state.cluster)
    if len(at_once) <= allowed:
        return ""
    window = state.cluster.cluster.fence_window
    return (
        f"{', '.join(at_once)}: {len(at_once)} of {len(state.nodes)} nodes would be switched off "
        f"within {window:g} s, and fence_limit is {allowed}; `holdfast fence allow {view.node}` "
        "lets it be done"
    )


def limit(cluster: ClusterFile) -> int:
    """How many nodes may be off at once: never a majority of them, unless the file says so."""
    return cluster.cluster.fence_limit or max(1, len(cluster.nodes) // 2)


def note(turn: Turn, before: OwnershipRecord, after: OwnershipRecord) -> None:
    """Another leader's record is read: remember whose fence it tells of, or that it was proven."""
    for record in before, after:
        if record.phase == Phase.FENCING and record.owner is not None and before != after:
            fenced = {**turn.state.fenced, record.owner: turn.now}
            turn.state = replace(turn.state, fenced=fenced)
    forget(turn, before, after)


def forget(turn: Turn, before: OwnershipRecord, after: OwnershipRecord) -> None:
    """A fence that was called off counts no more: the node was heard again, and keeps the group."""
    same = (after.owner, after.boot) == (before.owner, before.boot)
    over = before.phase == Phase.FENCING and after.phase != Phase.FENCING and same
    if over and not _others_say_so(turn.state, before):
        fenced = {node: at for node, at in turn.state.fenced.items() if node != before.owner}
        turn.state = replace(turn.state, fenced=fenced)


def _others_say_so(state: State, called_off: OwnershipRecord) -> bool:
    """Whether another group's record still tells to fence that node."""
    others = [v.record for v in state.groups.values() if v.group != called_off.group]
    return any(r.phase == Phase.FENCING and r.owner == called_off.owner for r in others)


def _recently_off(state: State, now: float) -> set[str]:
    return _within(state, state.fenced, now) | _within(state, state.switched_off, now)


def _within(state: State, times: dict[str, float], now: float) -> set[str]:
    window = state.cluster.cluster.fence_window
    return {node for node, at in times.items() if now - at < window}


def _at_stake(state: State, node: str) -> bool:
    """Whether it is silent, owns something, and nothing proves yet that it is off."""
    view = state.nodes[node]
    unproven = view.suspicion is not None and view.suspicion.proof is None
    return unproven and any(
        group.record.owner == node and group.record.boot == view.boot
        for group in state.groups.values()
    )
