"""What moves or fails too often is left alone: counting, and putting into quarantine.

Every decider counts from the records it sees, on its own clock, so a change of leader forgets
nothing. Only the quarantine itself is stored.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import MoveKind
from holdfast.events.policies import Scope
from holdfast.failover_decider import standing
from holdfast.failover_decider.placement import alive, marked
from holdfast.failover_decider.state import Failure, GroupView, NodeView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Refusal
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.standing import Mark
from holdfast.structs import replace

COUNTED = (MoveKind.START, MoveKind.RELOCATE, MoveKind.FAILBACK)
"""Moves that the group's own trouble, or its way back, caused; not those of operators or losses."""
KEPT = 100
SAME_WITHIN = 30.0
"""Seconds within which one loss of a node may show in the records of several groups."""


def too_often(
    state: State, view: GroupView, now: float, after: Trail, *, healthy: bool = False
) -> Refusal | None:
    """The refusal to move the group again, when it is in quarantine or used up its moves. One that
    runs well, and would only run better elsewhere, is not quarantined for that: it may fail yet.
    """
    mark = marked(state, "quarantine", Scope.GROUP, view.group)
    if mark is not None:
        text = f"it is in quarantine: {mark.reason}"
        return Refusal("in_quarantine", text[:1000], after, [after.cause])
    limits = state.cluster.groups[view.group]
    recent = [at for at in view.moved_at if now - at < limits.moves_window]
    if len(recent) < limits.max_moves:
        return None
    reason = f"it moved {len(recent)} times within {limits.moves_window:.0f} s"
    return Refusal("moved_too_often", reason, after, [after.cause], quarantine=not healthy)


def quarantine_group(turn: Turn, view: GroupView, refusal: Refusal) -> None:
    """Store what a refusal says; it is called again until that is done."""
    lasts = turn.state.cluster.groups[view.group].quarantine
    _quarantine(turn, Scope.GROUP, view.group, refusal.reason, refusal.after, lasts)


def note(turn: Turn, before: OwnershipRecord, after: OwnershipRecord) -> None:
    """Count what a change of a record tells: a move that ended, a failure at the owner."""
    kind = before.intent.kind if before.intent else None
    if after.phase == Phase.ACTIVE and before.phase == Phase.STARTING and kind in COUNTED:
        view = turn.group(after.group)
        turn.set_group(replace(view, moved_at=(*view.moved_at, turn.now)[-KEPT:]))
    what = _failure(before, after)
    if what and before.owner in turn.state.nodes:
        node = turn.node(before.owner)
        same = [f for f in node.failures if f.what == what and turn.now - f.at < SAME_WITHIN]
        if not same:
            failures = (*node.failures, Failure(turn.now, what))[-KEPT:]
            turn.set_node(replace(node, failures=failures))


def on_tick(turn: Turn) -> None:
    """Quarantine a node on which too much failed. Leaders only, and never the last good node."""
    if not turn.state.records_loaded:
        return
    for view in turn.state.nodes.values():
        policy = turn.state.cluster.nodes[view.node]
        recent = [f for f in view.failures if turn.now - f.at < policy.failures_window]
        if len(recent) < policy.max_failures:
            continue
        if marked(turn.state, "quarantine", Scope.NODE, view.node) or not standing.ready(turn):
            continue
        if any(_good(turn, other) for other in turn.state.nodes.values() if other is not view):
            told = ", ".join(dict.fromkeys(f.what for f in recent))
            reason = f"{len(recent)} failures within {policy.failures_window:.0f} s: {told}"[:1000]
            signal = _signal(turn, view, reason)
            _quarantine(turn, Scope.NODE, view.node, reason, signal, policy.quarantine)


def _failure(before: OwnershipRecord, after: OwnershipRecord) -> str | None:
    match before.phase, after.phase:
        case Phase.ACTIVE, Phase.FENCING | Phase.STARTING:
            return "the node was lost"
        case Phase.ACTIVE, Phase.STOPPING if after.boot != before.boot:
            return "the node was lost"
        case Phase.ACTIVE, Phase.STOPPING if after.intent and after.intent.kind == "relocate":
            return f"{after.group} failed"
        case Phase.STARTING, Phase.STOPPING:
            return f"{after.group} did not start"
        case Phase.STOPPING, Phase.FENCING | Phase.HELD if after.owner is not None:
            return f"{after.group} did not stop"
    return None


def _good(turn: Turn, view: NodeView) -> bool:
    free = marked(turn.state, "quarantine", Scope.NODE, view.node) is None
    return free and alive(turn.state, view, turn.now)


def _signal(turn: Turn, view: NodeView, reason: str) -> Trail:
    return turn.emit(
        HealthSignal(
            layer=Layer.HOST_OS,
            node=view.node,
            observer=turn.state.place,
            probe="failures",
            state=Health.DEGRADED,
            previous=Health.OK,
            reason=reason,
        ),
        node_entity(view.node),
    )


def _quarantine(
    turn: Turn, scope: Scope, name: str, reason: str, after: Trail, lasts: float | None
) -> None:
    if standing.ready(turn):
        standing.put(
            turn,
            Mark(
                kind="quarantine",
                scope=scope,
                name=name,
                reason=reason,
                id=after.cause,
                incident=after.incident,
                left=lasts,
            ),
        )
