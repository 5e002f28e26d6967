"""N+1: could the loss of any one node be borne? The placement itself is asked, on a copy.

The answer moves nothing. It is a signal when it changes, and shown in `status`; and where the file
says `admission = "enforce"`, a group that never ran is not started when it would make it worse.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.placement import choose
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Refusal
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
            found[node] = "; ".join(homeless.values())[:1000]
    return found


def not_admitted(state: State, group: str, target: str, now: float, after: Trail) -> Refusal | None:
    """A group that never ran must leave every loss as bearable as it was."""
    if state.cluster.cluster.admission != "enforce":
        return None
    # What is being stored counts: two new groups of one moment must fit together.
    before = {
        name: replace(view, record=view.writing or view.record, writing=None)
        for name, view in state.groups.items()
    }
    there = {**before, group: _at_home(before[group], target)}
    for node in state.nodes:
        known = _homeless(replace(state, groups=before), node, now)
        homeless = _homeless(replace(state, groups=there), node, now)
        told = "; ".join(why for name, why in homeless.items() if name not in known)
        if told:
            reason = f"N+1: with it the loss of {node} could not be borne: {told}"
            return Refusal("not_admitted", reason[:1000], after, [after.cause])
    return None


def on_tick(turn: Turn) -> None:
    """Review it now and then. Leaders only."""
    state, known = turn.state, turn.state.redundancy
    if not state.records_loaded or turn.now < known.review_at:
        return
    found = losses(state, turn.now)
    since = known.since if found.keys() == known.losses.keys() else turn.now
    known = replace(known, review_at=turn.now + REVIEW_EVERY, losses=found, since=since)
    turn.state = replace(state, redundancy=known)
    if turn.now - max(since, state.leading_since) >= SAID_AFTER:
        _say(turn)


def _homeless(state: State, node: str, now: float) -> dict[str, str]:
    """The groups of a node that would have no place without it, and why."""
    theirs = [view for view in state.groups.values() if view.record.owner == node]
    groups = dict(state.groups)
    for view in theirs:
        groups[view.group] = GroupView(view.group, OwnershipRecord(group=view.group))
    without = replace(state, nodes={**state.nodes, node: NodeView(node)}, groups=groups)
    found = {}
    for view in theirs:
        choice = choose(without, view.group, now, [])
        if choice.target is None:
            found[view.group] = f"{view.group} would have no place ({choice.reasons()})"
        placed = _at_home(without.groups[view.group], choice.target)
        without = replace(without, groups={**without.groups, view.group: placed})
    return found


def _at_home(view: GroupView, node: str | None) -> GroupView:
    record = OwnershipRecord(group=view.group, owner=node, phase=Phase.ACTIVE, epoch=1)
    return replace(view, record=record)


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
