"""N+1: could the loss of any one node be borne? The placement itself is asked, on a copy.

The answer moves nothing. It is a signal when it changes, and shown in `status`.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.placement import choose
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace

REVIEW_EVERY = 5.0
SAID_AFTER = 10.0
"""Seconds for which an answer must have stood before it is told: moves and reboots pass."""


def losses(state: State, now: float) -> dict[str, str]:
    """The nodes whose loss could not be borne, and which of their groups would have no place."""
    found = {}
    for node in state.nodes:
        homeless = _homeless(state, node, now)
        if homeless:
            found[node] = "; ".join(homeless)[:1000]
    return found


def on_tick(turn: Turn) -> None:
    """Review it now and then. Leaders only."""
    state, known = turn.state, turn.state.redundancy
    if not (state.leading and state.records_loaded) or turn.now < known.review_at:
        return
    found = losses(state, turn.now)
    since = known.since if found.keys() == known.losses.keys() else turn.now
    known = replace(known, review_at=turn.now + REVIEW_EVERY, losses=found, since=since)
    turn.state = replace(state, redundancy=known)
    if turn.now - max(since, state.leading_since) >= SAID_AFTER:
        _say(turn)


def _homeless(state: State, node: str, now: float) -> list[str]:
    theirs = [view for view in state.groups.values() if view.record.owner == node]
    groups = dict(state.groups)
    for view in theirs:
        groups[view.group] = GroupView(view.group, OwnershipRecord(group=view.group))
    without = replace(state, nodes={**state.nodes, node: NodeView(node)}, groups=groups)
    found = []
    for view in theirs:
        choice = choose(without, view.group, now, [])
        if choice.target is None:
            found.append(f"{view.group} would have no place ({choice.reasons()})")
        placed = replace(
            without.groups[view.group],
            record=OwnershipRecord(
                group=view.group, owner=choice.target, phase=Phase.ACTIVE, epoch=1
            ),
        )
        without = replace(without, groups={**without.groups, view.group: placed})
    return found


def _say(turn: Turn) -> None:
    known = turn.state.redundancy
    said = dict(known.said)
    for node, reason in known.losses.items():
        if node not in said:
            told = f"its loss could not be borne: {reason}"
            said[node] = _signal(turn, node, Health.DEGRADED, told[:1000], None)
    for node in [node for node in said if node not in known.losses]:
        _signal(turn, node, Health.OK, "its loss could be borne", said.pop(node))
    turn.state = replace(turn.state, redundancy=replace(known, said=said))


def _signal(turn: Turn, node: str, state: Health, reason: str, after: Trail | None) -> Trail:
    degraded = state is Health.DEGRADED
    return turn.emit(
        HealthSignal(
            layer=Layer.HOST_OS,
            node=node,
            observer=turn.state.place,
            probe="redundancy",
            state=state,
            previous=Health.OK if degraded else Health.DEGRADED,
            reason=reason,
        ),
        node_entity(node),
        after,
    )
