"""Mass fencing is held: when most of the cluster seems lost, the one who is lost may be ourselves.

Nodes that fall silent together are more often a broken network than broken nodes. So no more than
`fence_limit` of them are switched off, or wait to be, within `fence_window`; the rest is held,
with a refusal, until some are heard again, the window has passed, or an operator allows it.
"""

from holdfast.config.model import ClusterFile
from holdfast.failover_decider.state import NodeView, State


def restraint(state: State, view: NodeView, now: float) -> str:
    """Why this node may not be switched off now; empty if it may."""
    if view.suspicion is not None and view.suspicion.allowed:
        return ""
    recent = _recently_off(state, now)
    if view.node in recent:
        return ""  # what was begun against it may be repeated
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


def _recently_off(state: State, now: float) -> set[str]:
    window = state.cluster.cluster.fence_window
    return {node for node, at in state.switched_off.items() if now - at < window}


def _at_stake(state: State, node: str) -> bool:
    """Whether it is silent, owns something, and nothing proves yet that it is off."""
    view = state.nodes[node]
    unproven = view.suspicion is not None and view.suspicion.proof is None
    return unproven and any(
        group.record.owner == node and group.record.boot == view.boot
        for group in state.groups.values()
    )
