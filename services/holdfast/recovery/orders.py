"""Taking orders: what is refused and why, and what an accepted order sets going. Pure."""

from holdfast.events import Draft
from holdfast.events.fields import group_entity
from holdfast.events.hands import OrderAccepted, OrderRefused
from holdfast.recovery import steps
from holdfast.recovery.messages import OrderReceived, Refuse, Reply
from holdfast.recovery.plan import GroupPlan
from holdfast.recovery.state import GroupState, OrderState, Work
from holdfast.recovery.turn import Turn
from holdfast.structs import replace
from holdfast.wire import Order, OrderReply

NO_LEASE = "no_lease"
UNGUARDED = "unguarded"
NOT_ARMED = "nothing was armed for it, as it was to be refused"
NOT_ITS_FAULT = (NO_LEASE, UNGUARDED)
"""The kinds of refusal that are not the sender's mistake."""


def receive(turn: Turn, received: OrderReceived) -> None:
    """Refuse, answer how a known order stands, or accept a new one."""
    order = received.order
    refusal = _refusal(turn, received)
    if refusal is not None:
        turn.later(refuse(order, turn.plan.node, turn.mint(), *refusal))
        return
    known = turn.state.order
    if known is None or not _same(known, order):
        _accept(turn, order)
    turn.later(Reply(_standing(turn, order)))


def refuse(order: Order, node: str, event_id: str, kind: str, reason: str) -> Refuse:
    """The refusal of an order: reply, event, and the kind under which it is counted.

    The event names the order's cause only if nothing but this node speaks against the order: what
    a stale or forged one names may not exist, and the record could then never be proven again.
    """
    believed = kind in NOT_ITS_FAULT
    data = OrderRefused(
        group=order.group,
        node=node,
        action=order.action,
        epoch=order.epoch,
        intent=order.intent,
        reason=reason,
    )
    return Refuse(
        order=order,
        reply=OrderReply(intent=order.intent, accepted=False, error=reason),
        draft=Draft(
            id=event_id,
            data=data,
            entity=group_entity(order.group),
            incident=order.incident if believed else None,
            cause=order.cause if believed else None,
        ),
        kind=kind,
    )


def begins(plan: GroupPlan, state: GroupState, received: OrderReceived, now: float) -> bool:
    """Whether a start would begin with this order, once the node is guarded.

    What says no here says no later, too: reasons to refuse an order do not pass.
    """
    order = received.order
    if order.action != "start" or (state.order is not None and _same(state.order, order)):
        return False
    # A refusal emits nothing, so this turn needs no ids and is forgotten.
    return _refusal(Turn(plan, state, now, str), replace(received, unguarded="")) is None


def _refusal(turn: Turn, received: OrderReceived) -> tuple[str, str] | None:
    """Kind and reason if the order must not be taken."""
    order, plan, state = received.order, turn.plan, turn.state
    if order.node != plan.node:
        return "forged", f"the order is for node {order.node}, this is {plan.node}"
    if order.boot != plan.boot:
        return "stale", f"the order is for boot {order.boot}, this boot is {plan.boot}"
    if turn.now > order.not_after:
        return "stale", f"the order expired {turn.now - order.not_after:.3f} s ago"
    if state.order is not None and _same(state.order, order):
        return None
    if order.epoch < state.epoch:
        return "stale", f"epoch {order.epoch} is below {state.epoch}, the highest seen here"
    if order.action == "start":
        if not plan.startable:
            return "forged", f"by its cluster file {plan.node} does not run group {plan.group}"
        if order.epoch == state.epoch:
            return "stale", f"epoch {order.epoch} was already used here; a start needs a higher one"
        if turn.now >= received.act_until:
            return NO_LEASE, "this node does not hold its lease, so it may start nothing"
        if received.unguarded:
            return UNGUARDED, received.unguarded
    return None


def _same(known: OrderState, order: Order) -> bool:
    """One move may stop and start under one intent, so action and epoch belong to the key."""
    return (known.intent, known.action, known.epoch) == (order.intent, order.action, order.epoch)


def _standing(turn: Turn, order: Order) -> OrderReply:
    state = turn.state
    assert state.order is not None
    return OrderReply(
        intent=order.intent,
        accepted=True,
        done=state.order.done,
        error=state.order.error,
        event=state.order.event,
        lease_ended=state.order.lease_ended,
        takes=turn.plan.takes(order.action),
    )


def _accept(turn: Turn, order: Order) -> None:
    accepted = turn.emit(
        OrderAccepted(
            group=order.group,
            node=turn.plan.node,
            action=order.action,
            epoch=order.epoch,
            intent=order.intent,
        ),
        incident=order.incident,
        cause=order.cause,
    )
    turn.set(
        epoch=order.epoch,
        order=OrderState(action=order.action, epoch=order.epoch, intent=order.intent),
    )
    names = turn.plan.names
    if order.action == "start":
        # Whatever may be left of an earlier epoch goes first; nothing is taken for stopped.
        left = tuple(n for n in names if turn.state.resource(n).state != "stopped")
        todo = steps.stop_steps(left) + steps.start_steps(turn.plan.startable)
    else:
        # Also what is believed stopped is looked at again: the reply is a fence proof.
        todo = steps.stop_steps(names)
    begun = Work(
        kind=order.action,
        steps=todo,
        root=accepted,
        last=accepted,
        incident=order.incident,
        began=turn.now,
    )
    steps.begin(turn, begun, phase="starting" if order.action == "start" else "stopping")
