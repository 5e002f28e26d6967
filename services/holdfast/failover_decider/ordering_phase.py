"""The phases `stopping` and `starting`: an order to the owner, until it has an end."""

from holdfast.failover_decider import reboots
from holdfast.failover_decider.messages import OrderAnswered
from holdfast.failover_decider.onward import (
    changed,
    confirm,
    owner_rebooted,
    start_or_hold,
    step_failed,
)
from holdfast.failover_decider.orders import (
    heard,
    keep_ordering,
    matches,
    note,
    overdue,
    turned_down,
)
from holdfast.failover_decider.patience import silent_past_ttl
from holdfast.failover_decider.state import GroupView, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import owner_of
from holdfast.failover_decider.writing import next_intent, trail_of, write
from holdfast.ownership import Phase
from holdfast.structs import replace


def on_order_answered(turn: Turn, answer: OrderAnswered) -> None:
    """The hands say how an order stands. Only `done` without an error is success."""
    view = turn.state.groups.get(answer.order.group)
    if view is None or not turn.state.leading or not matches(view, answer):
        return
    reply = answer.reply
    if not reply.done:
        heard(turn, view, reply)
        return
    note(turn, answer)
    after = trail_of(view)
    view = replace(view, done=Trail(after.incident, reply.event) if reply.event else after)
    turn.set_group(view)
    if reply.error:
        step_failed(turn, view, reply.error, lease_ended=reply.lease_ended)
    elif view.record.phase == Phase.STARTING:
        write(turn, view, changed(view, phase=Phase.ACTIVE, intent=None, reason=""))
    else:
        start_or_hold(turn, view, "stop")


def see_order_through(turn: Turn, view: GroupView) -> None:
    """Send it again and again; or fence an owner that is lost meanwhile."""
    owner = owner_of(turn.state, view)
    suspicion = owner.suspicion
    lost = suspicion is not None and (
        suspicion.proof is not None or silent_past_ttl(turn.state, suspicion, turn.now)
    )
    if reboots.rebooted(owner, view.record):
        owner_rebooted(turn, view, owner, view.record.phase)
    elif lost:
        intent = next_intent(turn, view, view.record.phase, interrupted=True)
        write(turn, view, changed(view, phase=Phase.FENCING, intent=intent))
    elif not view.confirmed:
        confirm(turn, view)
    elif turned_down(view, owner, turn.now):
        step_failed(turn, view, f"the hands of {owner.node} do not take it: {view.not_taken}")
    elif overdue(turn.state, view, turn.now):
        why = f": {view.not_taken}" if view.not_taken else ""
        step_failed(turn, view, f"the hands of {owner.node} did not finish it in time{why}")
    elif owner.clock > 0:
        keep_ordering(turn, view, owner)
