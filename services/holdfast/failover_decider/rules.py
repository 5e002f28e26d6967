"""The rules: what each phase of a group's record calls for, given what is seen.

Every function is one rule, named in the event that reports its verdict. None: nothing to do, yet.
"""

from collections.abc import Callable

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.events.fields import node_entity
from holdfast.events.ownership import Alternative, MoveKind
from holdfast.failover_decider.fencing import silent_past_ttl
from holdfast.failover_decider.placement import Choice, alive, choose
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.ownership import Phase
from holdfast.wire import GroupReport

WAIT_FOR_PREFERRED = 10.0
"""Seconds a new leader gives a group's first node to appear before it looks elsewhere."""
SETTLE = 1.0
"""Seconds after a change before a report of an older epoch is taken for more than a straggler."""


class Decision(msgspec.Struct, frozen=True):
    """What shall be done, and all that the event about it needs."""

    rule: str
    kind: MoveKind
    phase: Phase
    target: str | None
    after: Trail
    evidence: list[str] = msgspec.field(default_factory=list)
    alternatives: list[Alternative] = msgspec.field(default_factory=list)
    reason: str = ""
    suspected_for: float = 0.0
    needed_since: float = 0.0


class Refusal(msgspec.Struct, frozen=True):
    """Something calls for action and will not get it; said once until the reason changes."""

    rule: str
    reason: str
    after: Trail
    evidence: list[str] = msgspec.field(default_factory=list)


Verdict = Decision | Refusal | None
Rule = Callable[[State, GroupView, float], Verdict]


def start_stopped(state: State, view: GroupView, now: float) -> Verdict:
    """A group that nobody runs is started on its first node, if that one appears in time."""
    record = view.record
    if record.intent is not None and record.intent.kind == MoveKind.STOP:
        return None  # an operator stopped it, and an operator starts it
    tried = record.intent.tried if record.phase == Phase.HELD and record.intent else []
    choice = choose(state, view.group, now, tried)
    waited = now - state.leading_since >= WAIT_FOR_PREFERRED
    if choice.target is None:
        if waited and record.phase == Phase.STOPPED and state.election is not None:
            return _nowhere("start_stopped", choice, state.election)
        return None
    preferred = state.cluster.groups[view.group].nodes[0]
    if record.epoch == 0 and choice.target != preferred and not waited:
        return None
    after = state.nodes[choice.target].seen
    if after is None:
        return None
    if moves_too_often(state.cluster, view, now):
        return _too_often(state, view, after)
    return chosen("start_stopped", MoveKind.START, Phase.STARTING, choice, after)


def owner_lost(state: State, view: GroupView, now: float) -> Verdict:
    """The owner is proven dead, or silent past its lease: it is fenced and the group fails over."""
    owner = _owner(state, view)
    suspicion = owner.suspicion
    if suspicion is None or owner.boot != view.record.boot:
        return None
    if suspicion.proof is None and not silent_past_ttl(state, suspicion, now):
        return None
    if suspicion.hands_only and not state.cluster.nodes[owner.node].fence:
        return Refusal(
            "hands_silent",
            f"the hands of {owner.node} are silent, its monitor is not: what it runs may go on, "
            "and there is no fence device to end it",
            suspicion.trail,
            [suspicion.signal],
        )
    proven = suspicion.proof_trail is not None
    choice = choose(state, view.group, now, [])
    return Decision(
        rule="owner_proven_dead" if proven else "owner_silent_past_ttl",
        kind=MoveKind.FAILOVER,
        phase=Phase.FENCING,
        target=choice.target,
        after=suspicion.proof_trail or suspicion.trail,
        evidence=[suspicion.signal, suspicion.trail.cause, *witnesses(state, owner.node)],
        alternatives=choice.alternatives,
        suspected_for=suspicion.raised - suspicion.since,
        needed_since=suspicion.raised,
    )


def owner_rebooted(state: State, view: GroupView, now: float) -> Verdict:
    """The owner runs a new boot and its hands confirm that the group is stopped there."""
    owner = _owner(state, view)
    report = owner.report(view.group)
    if owner.boot in (None, view.record.boot) or owner.seen is None:
        return None
    if report is None or report.state != "stopped":
        return None
    return _start_again(state, view, now, "owner_rebooted", owner.seen)


def owner_stopped_it(state: State, view: GroupView, now: float) -> Verdict:
    """The owner confirms that it stopped the group, as its lease demanded: start it anew."""
    report = _current_report(state, view, now)
    if report is None or report.state != "stopped" or report.epoch != view.record.epoch:
        return None
    return _start_again(state, view, now, "owner_stopped_it", _trail(state, view, report))


def failed_at_owner(state: State, view: GroupView, now: float) -> Verdict:
    """Local recovery is used up, or the owner lost track: stop it there, run it elsewhere."""
    report = _current_report(state, view, now)
    if report is None:
        return None
    lost_track = report.epoch < view.record.epoch and now - view.phase_since > SETTLE
    if report.state not in ("failed", "unknown") and not lost_track:
        return None
    after = _trail(state, view, report)
    owner = _owner(state, view)
    choice = choose(state, view.group, now, [owner.boot] if owner.boot else [])
    if choice.target is None:
        return _nowhere("no_other_node", choice, after)
    if moves_too_often(state.cluster, view, now):
        return _too_often(state, view, after)
    return chosen("failed_at_owner", MoveKind.RELOCATE, Phase.STOPPING, choice, after)


def chosen(rule: str, kind: MoveKind, phase: Phase, choice: Choice, after: Trail) -> Decision:
    """The decision for a choice of node, resting on the one event that called for it."""
    return Decision(
        rule=rule,
        kind=kind,
        phase=phase,
        target=choice.target,
        after=after,
        evidence=[after.cause],
        alternatives=choice.alternatives,
    )


def moves_too_often(cluster: ClusterFile, view: GroupView, now: float) -> bool:
    """Whether the group used up its moves within the window."""
    limits = cluster.groups[view.group]
    recent = [at for at in view.moved_at if now - at < limits.moves_window]
    return len(recent) >= limits.max_moves


def witnesses(state: State, node: str) -> list[str]:
    """Events in which other nodes say something against this one."""
    return [
        signal.event
        for view in state.nodes.values()
        if view.node != node
        for signals in view.signals.values()
        for signal in signals
        if signal.entity == node_entity(node)
    ][:8]


def _start_again(state: State, view: GroupView, now: float, rule: str, after: Trail) -> Verdict:
    choice = choose(state, view.group, now, [])
    if choice.target is None:
        return _nowhere(rule, choice, after)
    return chosen(rule, MoveKind.START, Phase.STARTING, choice, after)


def _too_often(state: State, view: GroupView, after: Trail) -> Refusal:
    limits = state.cluster.groups[view.group]
    reason = f"it moved {limits.max_moves} times within {limits.moves_window:.0f} s"
    return Refusal("moved_too_often", reason, after, [after.cause])


def _nowhere(rule: str, choice: Choice, after: Trail) -> Refusal:
    return Refusal(rule, f"no node may run it: {choice.reasons()}"[:1000], after, [after.cause])


def _owner(state: State, view: GroupView) -> NodeView:
    assert view.record.owner is not None
    return state.nodes[view.record.owner]


def _current_report(state: State, view: GroupView, now: float) -> GroupReport | None:
    """What the living owner, still in the boot of the record, says since the phase began."""
    owner = _owner(state, view)
    if owner.seen is None or not alive(state, owner, now) or owner.boot != view.record.boot:
        return None
    return owner.report(view.group) if owner.hands_heard > view.phase_since else None


def _trail(state: State, view: GroupView, report: GroupReport) -> Trail:
    """The event behind a report; failing that, the one that greeted the node."""
    if report.event and report.incident:
        return Trail(report.incident, report.event)
    owner = _owner(state, view)
    assert owner.seen is not None, "a leader greets a node before it judges it"
    return owner.seen
