"""The proof by watchdog: a node that was seen to have armed one has been reset with its lease.

The hands pet it only after a majority renewed the lease, and only while its time-out ends before
the lease does; they arm it before their first start and disarm it when nothing runs. So once a
majority's promises have run out, which the revocation sees to, nothing of that boot runs.

A node that is heard in the same boot when its watchdog should have ended it denies that, even if it
falls silent later. Either its hands stopped all in time and disarmed it, and will say so; or the
watchdog does not work, and what they ran goes on without them. So that is said at once.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.state import NodeView, State, Suspicion, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace
from holdfast.wire import HandsPulse, MonitorPulse, WatchdogExpired


def endable(state: State, view: NodeView) -> bool:
    """Whether a fence device or its watchdog can end what runs there."""
    return bool(state.cluster.nodes[view.node].fence) or armed(state, view)


def armed(state: State, view: NodeView) -> bool:
    """Whether its hands said last that it is, at the epoch of all that the records give it."""
    said = view.hands.watchdog if view.hands and not view.outlived else None
    if said is None or not said.armed or said.timeout > state.timing.ttl - state.timing.margin:
        return False
    for group in state.groups.values():
        record = group.record
        if record.owner != view.node or record.boot != view.boot:
            continue
        report = view.report(group.group)
        if report is None or report.epoch != record.epoch:
            return False
    return True


def expired(state: State, view: NodeView, now: float) -> WatchdogExpired | None:
    """The proof, if the node has been silent long enough for it. Its lease is revoked next.

    A monitor that is still heard says that no watchdog has acted, whatever the hands had said.
    """
    suspicion = view.suspicion
    assert suspicion is not None
    if suspicion.hands_only or now - suspicion.since < state.timing.ttl or not armed(state, view):
        return None
    assert view.boot is not None
    assert view.hands is not None
    assert view.hands.watchdog is not None
    return WatchdogExpired(node=view.node, boot=view.boot, timeout=view.hands.watchdog.timeout)


def unproven(view: NodeView) -> str:
    """Why neither a device nor a watchdog has ended it."""
    if view.outlived:
        return "it has no fence device, and its watchdog had not ended it when its monitor beat on"
    return "it has no fence device, and was not heard to have armed its watchdog for what it owns"


def outlived(state: State, view: NodeView, pulse: MonitorPulse | HandsPulse) -> bool:
    """Whether the node goes on though its watchdog should have ended it. Hands vouch anew.

    By the node's own clock: a pulse that was sent before and is late says nothing.
    """
    if isinstance(pulse, HandsPulse) or view.hands is None or view.hands.watchdog is None:
        return False
    over = view.hands.now + state.timing.ttl + state.timing.suspect_after
    return view.outlived or (view.hands.watchdog.armed and pulse.now >= over)


def on_tick(turn: Turn) -> None:
    """Say, once, whose watchdog has not acted. Leaders only."""
    for view in turn.state.nodes.values() if turn.state.leading else ():
        suspicion = view.suspicion
        if suspicion is not None and view.outlived and suspicion.unended is None:
            silent = turn.now - suspicion.since
            reason = (
                f"armed, and has not reset the node, whose hands are silent for {silent:.1f} s: "
                "what it runs may go on, and is started nowhere else"
            )
            said = _signal(turn, view, Health.FAILED, reason, suspicion.trail)
            turn.set_suspicion(view.node, replace(suspicion, unended=said))


def on_cleared(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    """Its hands are back: what was said of their watchdog is taken back, but not into `ok`."""
    if suspicion.unended is not None:
        reason = "the hands are heard again; whether it works, nobody has seen"
        _signal(turn, view, Health.UNKNOWN, reason, suspicion.unended)


def _signal(turn: Turn, view: NodeView, health: Health, reason: str, after: Trail) -> Trail:
    failed = health is Health.FAILED
    return turn.emit(
        HealthSignal(
            layer=Layer.HARDWARE,
            node=view.node,
            observer=turn.state.place,
            probe="watchdog",
            state=health,
            previous=Health.UNKNOWN if failed else Health.FAILED,
            reason=reason,
            instance=view.boot or "",
        ),
        node_entity(view.node),
        after,
    )
