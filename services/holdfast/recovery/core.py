"""The core of one group: `decide(plan, state, input, now, mint) -> (state, effects)`. Pure.

One piece of work at a time, one step of it at a time. A higher epoch, a stop order or the end of
the lease replaces the work in progress; what runs is known from the resources, not from the work.
"""

from holdfast.events import Health, Layer
from holdfast.events.fields import resource_entity
from holdfast.ids import Mint
from holdfast.recovery import endings, orders, resume, steps, work
from holdfast.recovery.messages import (
    ActionDone,
    Effect,
    Input,
    LeaseEnded,
    OrderReceived,
    Resumed,
    SignalHeard,
    Spawned,
    Tick,
)
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.state import GroupState, Work
from holdfast.recovery.turn import Turn
from holdfast.wire import SignalSummary


def decide(
    plan: GroupPlan,
    state: GroupState,
    event: Input,
    now: float,
    mint: Mint,
    suspended_until: float = 0.0,
) -> tuple[GroupState, list[Effect]]:
    """What one input leads to. Total: any input is allowed at any time. `now` is monotonic, and so
    is the time until which maintenance keeps it from restarting what failed."""
    turn = Turn(plan, state, now, mint, suspended_until)
    match event:
        case OrderReceived():
            orders.receive(turn, event)
        case SignalHeard():
            _heed(turn, event.signal)
        case Spawned():
            _spawned(turn, event)
        case ActionDone():
            work.action_done(turn, event)
        case LeaseEnded():
            _lease_ended(turn, event)
        case Resumed():
            resume.resume(turn, event)
        case Tick():
            work.go_on(turn)
    return turn.finish()


def _heed(turn: Turn, signal: SignalSummary) -> None:
    """A failed application is restarted here, if it is ours, runs, and is not handled already."""
    state = turn.state
    if state.phase != "active" or signal.state is not Health.FAILED:
        return
    if signal.layer is not Layer.APPLICATION or signal.node != turn.plan.node:
        return
    for name, known in state.resources.items():
        ours = signal.entity == resource_entity(turn.plan.group, name)
        running = bool(known.instance) and known.instance == signal.instance
        if ours and running and known.handled != signal.event:
            turn.set_resource(name, handled=signal.event)
            since = min(signal.since, turn.now)
            endings.recover(turn, name, signal.event, signal.incident, since)
            return


def _spawned(turn: Turn, event: Spawned) -> None:
    """Note a new process while its start goes on, so that a stop, or a restart of us, finds it."""
    if turn.state.resource(event.resource).token == event.token:
        turn.set_resource(event.resource, instance=event.instance, pid=event.pid)


def _lease_ended(turn: Turn, event: LeaseEnded) -> None:
    """Stop everything. Only an order with a higher epoch starts the group again."""
    state = turn.state
    stopping = state.work is not None and state.work.kind in ("stop", "lease", "confirm")
    if stopping or (state.work is None and state.all_stopped()):
        return
    turn.set_order(done=True, error=event.reason, event=event.event, lease_ended=True)
    steps.begin(
        turn,
        Work(
            kind="lease",
            steps=steps.stop_steps(turn.plan.names),
            root=event.event,
            last=event.event,
            incident=event.incident,
            began=turn.now,
            reason=event.reason,
        ),
        phase="stopping",
    )
