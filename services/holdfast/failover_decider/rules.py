"""The rules for what is stopped or goes wrong: what is to be done, given what is seen.

Every function is one rule, named in the event that reports its verdict. None: nothing to do, yet.
Rules for what runs well are in planned.py, those of operators in requests.py.
"""

from holdfast.events.fields import node_entity
from holdfast.events.ownership import MoveKind
from holdfast.failover_decider import (
    claims,
    constraints,
    damping,
    proofs,
    redundancy,
    unmanaged,
    watchdog,
)
from holdfast.failover_decider.left_over import left_running
from holdfast.failover_decider.patience import silent_past_ttl
from holdfast.failover_decider.placement import choose
from holdfast.failover_decider.reboots import confirmed, rebooted
from holdfast.failover_decider.state import GroupView, NodeView, State, Trail
from holdfast.failover_decider.verdicts import (
    ORDERED_DOWN,
    Decision,
    Refusal,
    Verdict,
    chosen,
    current_report,
    nowhere,
    onward,
    owner_of,
)
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import GroupReport

WAIT_FOR_PREFERRED = 10.0
"""Seconds a new leader gives a group's first node to appear before it looks elsewhere."""
SETTLE = 1.0
"""Seconds after a change before a report of an older epoch is taken for more than a straggler."""


def start_stopped(state: State, view: GroupView, now: float) -> Verdict:
    """A group that nobody runs is started on its first node, if that one appears in time."""
    record = view.record
    if record.ordered_down or (record.epoch == 0 and not state.buckets_checked):
        return None
    tried = record.intent.tried if record.phase == Phase.HELD and record.intent else []
    waited = now - state.leading_since >= WAIT_FOR_PREFERRED
    missing = constraints.missing(state, view.group)
    if missing:
        return _requires(state, record.phase, missing) if waited else None
    running = claims.runs_somewhere(state, view, now)
    if running:
        return _runs(running, state.election) if waited and state.election else None
    choice = choose(state, view.group, now, tried)
    if choice.target is None:
        if waited and record.phase == Phase.STOPPED and state.election is not None:
            return nowhere("start_stopped", choice, state.election)
        return None
    if record.epoch == 0 and not waited and _may_find_better(state, view.group, choice.target):
        return None
    after = _what_it_waited_for(state, view) or state.nodes[choice.target].seen
    if after is None:
        return None
    if record.epoch == 0:
        refusal = left_running(state, view, after)
        if refusal is not None:
            return refusal if waited else None
        refusal = redundancy.not_admitted(state, view.group, choice.target, now, after)
        if refusal is not None:
            return refusal if waited else None
    refusal = damping.too_often(state, view, now, after)
    return refusal or chosen("start_stopped", MoveKind.START, Phase.STARTING, choice, after)


def runs_well(state: State, view: GroupView, now: float) -> bool:
    """The living owner says, at the epoch of the record, that it runs."""
    report = current_report(state, view, now)
    return report is not None and report.state == "active" and report.epoch == view.record.epoch


def owner_lost(state: State, view: GroupView, now: float) -> Verdict:
    """The owner is proven dead, or silent past its lease: it is fenced and the group fails over."""
    owner = owner_of(state, view)
    suspicion = owner.suspicion
    if suspicion is None or owner.boot != view.record.boot:
        return None
    if suspicion.proof is None and not silent_past_ttl(state, suspicion, now):
        return None
    unended = hands_silent(state, owner)
    if unended:
        if watchdog.armed(state, owner) and now - suspicion.raised < state.timing.suspect_after:
            return None  # it ends the node about now
        return Refusal("hands_silent", unended, suspicion.trail, [suspicion.signal])
    unstopped = stop_failed(state, view)
    if unstopped:
        return Refusal("stop_failed", unstopped, suspicion.trail, [suspicion.signal])
    unmanaged_there = unmanaged.silent(state, view)
    if unmanaged_there:
        return Refusal("unmanaged_at_owner", unmanaged_there, suspicion.trail, [suspicion.signal])
    proven = suspicion.proof_trail is not None
    kind, choice = onward(state, view, now)
    return Decision(
        rule="owner_proven_dead" if proven else "owner_silent_past_ttl",
        kind=kind,
        phase=Phase.FENCING,
        target=choice.target,
        after=suspicion.proof_trail or suspicion.trail,
        evidence=[suspicion.signal, suspicion.trail.cause, *witnesses(state, owner.node)],
        alternatives=choice.alternatives,
        reason=view.record.reason if proofs.stop_failed(view.record) else "",
        suspected_for=suspicion.raised - suspicion.since,
        needed_since=suspicion.raised,
    )


def hands_silent(state: State, owner: NodeView) -> str:
    """Why nothing ends a node whose hands alone are silent; empty if something can."""
    suspicion = owner.suspicion
    if suspicion is None or not suspicion.hands_only or state.cluster.nodes[owner.node].fence:
        return ""
    watched = owner.outlived or watchdog.armed(state, owner)
    means = "its watchdog has not ended it" if watched else "there is no fence device to end it"
    return (
        f"the hands of {owner.node} are silent, its monitor is not: what it runs may go on, "
        f"and {means}"
    )


def stop_failed(state: State, view: GroupView) -> str:
    """Why a group whose stop failed stays held though its owner is silent; empty if it need not."""
    owner = owner_of(state, view)
    proven = proofs.suffices(owner.proof, view.record)
    if not proofs.stop_failed(view.record) or proven or watchdog.endable(state, owner):
        return ""
    return (
        f"a stop failed on {owner.node}, so its silence does not say that the group ended there: "
        f"a new boot of it does, or your word that it is off, `holdfast fence confirm {owner.node}`"
    )


def owner_rebooted(state: State, view: GroupView, now: float) -> Verdict:
    """The owner runs a new boot and its hands confirm that the group is stopped there."""
    owner = owner_of(state, view)
    if not rebooted(owner, view.record) or not confirmed(owner, view.group):
        return None
    after = owner.suspicion.trail if owner.seen is None and owner.suspicion else owner.seen
    return _start_again(state, view, now, "owner_rebooted", after) if after else None


def owner_stopped_it(state: State, view: GroupView, now: float) -> Verdict:
    """The owner confirms that it stopped the group, as its lease demanded: start it anew."""
    report = current_report(state, view, now)
    if report is None or report.state != "stopped" or report.epoch != view.record.epoch:
        return None
    return _start_again(state, view, now, "owner_stopped_it", _trail(state, view, report))


def owner_runs_it_still(state: State, view: GroupView, now: float) -> bool:
    """A stop that failed never reached the owner, or was undone there, and can do so no more."""
    over = now - view.phase_since > state.timing.order_expiry + SETTLE
    return over and runs_well(state, view, now)


def failed_at_owner(state: State, view: GroupView, now: float) -> Verdict:
    """Local recovery is used up, or nobody can tell what runs: stop it there, run it elsewhere."""
    report = current_report(state, view, now)
    if report is None or report.state not in ("failed", "unknown"):
        return None
    owner = owner_of(state, view)
    there = [owner.boot] if owner.boot else []
    verdict = _emptied(state, view, now, "failed_at_owner", MoveKind.RELOCATE, report, there)
    # Elsewhere in any case, but if nobody knows that it failed there, it may go back.
    if isinstance(verdict, Decision) and report.state == "failed":
        return replace(verdict, failed=there)
    return verdict


def owner_lost_track(state: State, view: GroupView, now: float) -> Verdict:
    """The owner tells of an epoch before its record's: it is stopped there, and started anew.

    Maybe there again: that its hands know nothing of an order is no failure of the group.
    """
    report = current_report(state, view, now)
    if report is None or report.epoch >= view.record.epoch or now - view.phase_since <= SETTLE:
        return None
    return _emptied(state, view, now, "owner_lost_track", MoveKind.START, report, [])


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


def _may_find_better(state: State, group: str, target: str) -> bool:
    """Whether a node that has yet to appear, or a group yet to be placed, may change the choice."""
    nodes = state.cluster.groups[group].nodes
    ideal = target == nodes[0] and not constraints.misgivings(state, group, target)
    missing = not all(state.nodes[node].well_since for node in nodes)
    return (missing and not ideal) or bool(constraints.unplaced_companions(state, group))


def _requires(state: State, phase: Phase, missing: list[str]) -> Verdict:
    """Said of a group that never ran; a held one has said it, in the reason of its record."""
    if phase != Phase.STOPPED or state.election is None:
        return None
    return Refusal("requires", constraints.waits_for(missing), state.election)


def _runs(where: str, after: Trail) -> Refusal:
    """By the record nobody else runs it, and somebody else's hands do not say so."""
    return Refusal("runs_somewhere", f"it is started nowhere: {where}", after, [after.cause])


def _what_it_waited_for(state: State, view: GroupView) -> Trail | None:
    """The start of the last group it requires, if this leader saw it."""
    required = [state.groups[other] for other in state.cluster.groups[view.group].requires]
    latest = max(required, key=lambda other: other.phase_since, default=None)
    return latest.changed if latest else None


def _start_again(state: State, view: GroupView, now: float, rule: str, after: Trail) -> Verdict:
    """It surely stopped at its owner: on with it, unless that is what an operator wanted."""
    if view.record.ordered_down:
        kind, nobody = onward(state, view, now)
        return replace(chosen(rule, kind, Phase.HELD, nobody, after), reason=ORDERED_DOWN)
    missing = constraints.missing(state, view.group)
    if missing:
        return Refusal("requires", constraints.waits_for(missing), after, [after.cause])
    running = claims.runs_somewhere(state, view, now)
    if running:
        return _runs(running, after)
    choice = choose(state, view.group, now, [])
    if choice.target is None:
        return nowhere(rule, choice, after)
    return chosen(rule, MoveKind.START, Phase.STARTING, choice, after)


def _emptied(
    state: State,
    view: GroupView,
    now: float,
    rule: str,
    kind: MoveKind,
    report: GroupReport,
    failed: list[str],
) -> Verdict:
    """Stop it at its owner, whatever it does there; then start it, not on boots it failed on."""
    after = _trail(state, view, report)
    missing = constraints.missing(state, view.group)
    if missing:
        return Refusal("requires", constraints.waits_for(missing), after, [after.cause])
    choice = choose(state, view.group, now, failed)
    if choice.target is None:
        return nowhere("no_other_node" if failed else rule, choice, after)
    refusal = damping.too_often(state, view, now, after)
    return refusal or chosen(rule, kind, Phase.STOPPING, choice, after)


def _trail(state: State, view: GroupView, report: GroupReport) -> Trail:
    """The event behind a report; failing that, the one that greeted the node."""
    if report.event and report.incident:
        return Trail(report.incident, report.event)
    owner = owner_of(state, view)
    assert owner.seen is not None, "a leader greets a node before it judges it"
    return owner.seen
