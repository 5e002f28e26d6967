"""Who is heard, who is silent, and since when.

Silence makes a node suspected and nothing more: fencing.py asks whether it is off, moves.py acts
only on a proof. A node's new boot ends the suspicion of its old one.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal, NodeCleared, NodeSeen, NodeSuspected
from holdfast.failover_decider import boots, fence_answers, monitors, watchdog
from holdfast.failover_decider.leadership import STAND_APART, rank, votes
from holdfast.failover_decider.placement import well
from holdfast.failover_decider.state import NodeView, State, Suspicion
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import HandsPulse, MonitorPulse


def on_pulse(turn: Turn, pulse: MonitorPulse | HandsPulse) -> None:
    """A node beats: note what it says of itself, its groups and its layers."""
    known = turn.state.nodes.get(pulse.node)
    view = boots.believed(turn, known, pulse) if known is not None else None
    if view is None:
        return
    if view is known:
        view = fence_answers.weighed(turn, view, pulse)
        if not _counts_as_alive(view, pulse):
            turn.set_node(_beats_on(turn, view, pulse))
            return
    suspicion, kept = view.suspicion, None
    if suspicion is not None and _to_be_fenced_although_heard(turn.state, view):
        kept = replace(suspicion, since=turn.now)
    hands, hands_heard, signals = view.hands, view.hands_heard, view.signals
    volumes = view.volumes
    match pulse:
        case HandsPulse() if hands is None or pulse.now >= hands.now:
            hands, hands_heard = pulse, turn.now
        case HandsPulse():
            pass  # overtaken by a later one: what it says of the groups is the past
        case MonitorPulse():
            signals = {**signals, pulse.service: tuple(pulse.signals)}
            if pulse.service == "storage_replication":
                volumes = tuple(pulse.volumes)
    view = replace(
        view,
        heard=turn.now,
        clock=max(view.clock, pulse.now),
        hands=hands,
        hands_heard=hands_heard,
        monitor_heard=monitors.heard(view, pulse, turn.now),
        outlived=watchdog.outlived(turn.state, view, pulse),
        signals=signals,
        volumes=volumes,
        suspicion=kept,
        revocation=None,
        revoked=None,
    )
    turn.set_node(view)
    if suspicion is not None and kept is None:
        silent = turn.now - suspicion.since
        turn.emit(
            NodeCleared(node=view.node, boot=pulse.boot, silent_for=silent),
            node_entity(view.node),
            suspicion.trail,
        )
        watchdog.on_cleared(turn, view, suspicion)


def _to_be_fenced_although_heard(state: State, view: NodeView) -> bool:
    """Whether a stop failed in this boot: no pulse makes up for that, if a device can end it."""
    return bool(state.cluster.nodes[view.node].fence) and any(
        group.record.phase == Phase.FENCING
        and (group.record.owner, group.record.boot) == (view.node, view.boot)
        and group.record.reason
        for group in state.groups.values()
    )


def _counts_as_alive(view: NodeView, pulse: MonitorPulse | HandsPulse) -> bool:
    """Whether a pulse of the current boot ends what has been begun against it.

    Not while it is being switched off, nor once it is said to be off: what arrives then is late, or
    it had taken that back (`fence_answers.py`). Once its lease was taken away, only a newer one
    shows that the node stopped everything and came back.
    """
    suspicion = view.suspicion
    if view.revocation is not None and view.revocation.term > 0:
        return (
            isinstance(pulse, HandsPulse)
            and pulse.lease_valid
            and pulse.term > view.revocation.term
        )
    if suspicion is None:
        return True
    if suspicion.hands_only and not isinstance(pulse, HandsPulse):
        return False
    return not _ending(suspicion)


def _ending(suspicion: Suspicion) -> bool:
    """Whether a device is at work to switch it off, or says that it is off."""
    switching_off = suspicion.fencing is not None and suspicion.fencing.action == "off"
    return switching_off or suspicion.said_off is not None


def _beats_on(turn: Turn, view: NodeView, pulse: MonitorPulse | HandsPulse) -> NodeView:
    """What should have ended the node has not done so yet: until its next silence it is heard."""
    suspicion = view.suspicion
    if suspicion is None or not (suspicion.hands_only or _ending(suspicion)):
        return view
    if pulse.now <= view.clock:
        return view  # repeated, or overtaken by a later one
    outlived = view.outlived or watchdog.outlived(turn.state, view, pulse)
    return replace(view, heard=turn.now, clock=pulse.now, outlived=outlived)


def on_tick(turn: Turn) -> None:
    """Greet nodes that are new to this leader; suspect those that have fallen silent."""
    for name, before in turn.state.nodes.items():
        view = _judged(turn, before)
        if view.boot is None:
            view = _known(turn, view)
        if view.suspicion is not None and view.suspicion.hands_only:
            _monitor_silent_too(turn, view, view.suspicion)
        if view.boot is None or view.suspicion is not None:
            continue
        if turn.now - view.heard >= turn.state.timing.suspect_after:
            _suspect(turn, view)
        elif turn.state.leading:
            if view.seen is None and view.clock > 0:
                _greet(turn, view)
            if _hands_silent(turn.state, view, turn.now):
                _suspect(turn, turn.node(name), hands_only=True)


def _known(turn: Turn, view: NodeView) -> NodeView:
    """A node never heard here, but named by a record as an owner: it is silent from now on.

    Else a leader that started after the owner died would wait for ever for somebody it never knew.
    """
    if not (turn.state.leading and turn.state.records_loaded):
        return view
    owned = [g for g in turn.state.groups.values() if g.record.owner == view.node]
    latest = max(owned, key=lambda group: group.revision, default=None)
    if latest is not None and latest.record.boot is not None:
        view = boots.unheard(view, latest.record.boot, turn.now)
        turn.set_node(view)
    return view


def _judged(turn: Turn, view: NodeView) -> NodeView:
    """Note since when the node is well. Every decider does, so a new leader need not begin anew."""
    fine = well(turn.state, view, turn.now)
    if fine != (view.well_since > 0):
        view = replace(view, well_since=turn.now if fine else 0.0)
        turn.set_node(view)
    return view


def must_act(state: State, view: NodeView, now: float) -> bool:
    """Whether it is this decider that looks into a silent node.

    The leader does. When the silent node is the leader's own host, the candidates do, one after
    another, so that usually only the first of them asks the fence devices. Nobody does whose
    events are not recorded: what follows would have no cause.
    """
    if not state.recording:
        return False
    if state.leading:
        return True
    if not votes(state) or view.node != state.leader or view.boot != state.leader_boot:
        return False
    return now - view.heard >= state.timing.suspect_after + rank(state) * 2 * STAND_APART


def _greet(turn: Turn, view: NodeView) -> None:
    assert view.boot is not None
    root = turn.emit(
        HealthSignal(
            layer=Layer.HOST_OS,
            node=view.node,
            observer=turn.state.place,
            probe="pulse",
            state=Health.OK,
            previous=Health.UNKNOWN,
            reason="its pulse is heard",
            instance=view.boot,
        ),
        node_entity(view.node),
    )
    seen = turn.emit(NodeSeen(node=view.node, boot=view.boot), node_entity(view.node), root)
    turn.set_node(replace(turn.node(view.node), seen=seen))


def _hands_silent(state: State, view: NodeView, now: float) -> bool:
    """Whether the hands of an owner are gone for so long that its lease has run out.

    Nobody would then stop its groups: only a fence can, though the node's monitor still beats.
    """
    return now - _hands_since(state, view) >= state.timing.ttl and any(
        group.record.owner == view.node and group.record.boot == view.boot
        for group in state.groups.values()
    )


def _hands_since(state: State, view: NodeView) -> float:
    """When the hands were last heard; whoever begins to lead listens for the suspicion time first.

    One that started later than they were heard counts from its start; those of a new boot that
    were never heard are silent since it is believed in.
    """
    listened = state.leading_since + state.timing.suspect_after - state.timing.ttl
    return max(view.hands_heard, view.boot_since, state.started, listened)


def _monitor_silent_too(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    """From now on the whole node is silent. Only a watchdog was at work since its hands were."""
    if turn.now - view.heard < turn.state.timing.suspect_after:
        return
    since = suspicion.since if watchdog.armed(turn.state, view) else view.heard
    turn.set_suspicion(view.node, replace(suspicion, hands_only=False, since=since))


def _suspect(turn: Turn, view: NodeView, *, hands_only: bool = False) -> None:
    if not must_act(turn.state, view, turn.now):
        return
    assert view.boot is not None
    since = _hands_since(turn.state, view) if hands_only else view.heard
    silent = turn.now - since
    whose = "of its hands, though its monitor beats," if hands_only else ""
    signal = turn.emit(
        HealthSignal(
            layer=Layer.HOST_OS,
            node=view.node,
            observer=turn.state.place,
            probe="hands" if hands_only else "pulse",
            state=Health.UNKNOWN,
            previous=Health.OK,
            reason=f"no pulse {whose} for {silent:.2f} s".replace("  ", " "),
            instance=view.boot,
            measurements={"silent_seconds": silent},
        ),
        node_entity(view.node),
    )
    trail = turn.emit(
        NodeSuspected(node=view.node, boot=view.boot, silent_for=silent),
        node_entity(view.node),
        signal,
    )
    suspicion = Suspicion(
        trail=trail, signal=signal.cause, since=since, raised=turn.now, hands_only=hands_only
    )
    turn.set_suspicion(view.node, suspicion)
