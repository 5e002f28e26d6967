"""What a fence device's `off` is worth: nothing, while the node itself beats.

A device that is set to another outlet than the node's says `off` of a node that lives. So the
answer is a proof once the node, hands and monitor, has been silent for the suspicion time; and a
pulse that was sent after the answer takes the proof back, and is an alarm. One that was sent before
it is late, and does neither.
"""

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.messages import FenceDone
from holdfast.failover_decider.patience import pausing
from holdfast.failover_decider.state import NodeView, SaidOff, Suspicion, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace
from holdfast.wire import FencedOff, HandsPulse, MonitorPulse


def on_off(turn: Turn, view: NodeView, suspicion: Suspicion, done: FenceDone, said: Trail) -> None:
    """A device says `off`; `said` is the event of it."""
    proof = FencedOff(
        node=done.node,
        boot=done.boot,
        agent=done.agent[:200],
        event=said.cause,
        devices=list(done.devices),
    )
    # Early if anything: the pulse from which it is reckoned took its time to come here.
    clock = view.clock + (turn.now - view.heard) if view.clock > 0 else 0.0
    off = SaidOff(proof=proof, said=said, action=done.action, clock=clock)
    suspicion = replace(suspicion, fencing=None, said_off=off)
    turn.set_suspicion(view.node, suspicion)
    believe(turn, turn.node(view.node), suspicion)


def believe(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    """Take the answer for a proof, if the node is silent."""
    off = suspicion.said_off
    if off is None or turn.now - view.heard < turn.state.timing.suspect_after:
        return
    turn.set_suspicion(view.node, replace(suspicion, proof=off.proof, proof_trail=off.said))


def weighed(turn: Turn, view: NodeView, pulse: HandsPulse | MonitorPulse) -> NodeView:
    """The view once a pulse of this boot was held against what a device said of it."""
    suspicion = view.suspicion
    off = suspicion.said_off if suspicion is not None else None
    if suspicion is None or off is None or pulse.now <= off.clock + turn.state.timing.pulse_every:
        return view
    reason = f"the device says off, but {view.node} beats: is it this node's plug?"
    if not suspicion.contradicted:
        _alarm(turn, view, off, reason)
    suspicion = replace(
        suspicion,
        said_off=None,
        proof=None,
        proof_trail=None,
        contradicted=True,
        last_answer=f"{off.action}: {reason}",
    )
    suspicion = pausing(turn.state, suspicion, off.action, turn.now)
    # What a majority has taken away stays so; a question to it that is under way is dropped.
    counting = view.revocation if view.revoked is not None else None
    return replace(view, suspicion=suspicion, revocation=counting)


def _alarm(turn: Turn, view: NodeView, off: SaidOff, reason: str) -> None:
    devices = ", ".join(off.proof.devices) or off.proof.agent
    turn.emit(
        HealthSignal(
            layer=Layer.HARDWARE,
            node=view.node,
            observer=turn.state.place,
            probe="fence",
            state=Health.FAILED,
            previous=Health.UNKNOWN,
            reason=f"{devices}: {reason}"[:1000],
            instance=off.proof.boot,
        ),
        node_entity(view.node),
        off.said,
    )
