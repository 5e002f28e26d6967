"""Orders to a node's hands, repeated until they are done or have failed."""

from typing import Literal

import msgspec

from holdfast.events.fields import group_entity
from holdfast.events.ownership import OrderSent
from holdfast.failover_decider.messages import OrderAnswered, SendOrder
from holdfast.failover_decider.state import GroupView, NodeView, State
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.writing import trail_of
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import GroupReport, Order, OrderReply

ORDER_AGAIN = 0.3
"""Seconds between two sendings of an order; the answer to a repetition tells how it stands."""
SLACK = 10.0
"""Seconds beyond the resources' own time-outs before an unanswered order counts as failed."""


def keep_ordering(turn: Turn, view: GroupView, owner: NodeView) -> None:
    """Send the current phase's order if it is due."""
    if view.order is None:
        view = _announce(turn, view, owner)
    if turn.now < view.ordered_at + ORDER_AGAIN:
        return
    assert view.order is not None
    assert view.record.intent is not None
    assert owner.boot is not None
    turn.set_group(replace(view, ordered_at=turn.now))
    turn.do(
        SendOrder(
            Order(
                action=action_of(view),
                group=view.group,
                node=owner.node,
                boot=owner.boot,
                epoch=view.record.epoch,
                intent=view.record.intent.step,
                incident=view.order.incident,
                cause=view.order.cause,
                # On the receiver's clock, and early if anything: its pulse was older than we think.
                not_after=owner.clock + (turn.now - owner.heard) + turn.state.timing.order_expiry,
                leader_term=turn.state.leadership.term,
            )
        )
    )


def matches(view: GroupView, answer: OrderAnswered) -> bool:
    """Whether an answer is about the order of the current phase."""
    return (
        view.writing is None
        and view.record.phase in (Phase.STARTING, Phase.STOPPING)
        and view.record.intent is not None
        and answer.order.intent == view.record.intent.step
        and answer.order.epoch == view.record.epoch
    )


def note(turn: Turn, answer: OrderAnswered) -> None:
    """A stop that is confirmed is the newest that the hands said; their pulse still says before."""
    order = answer.order
    view = turn.node(order.node)
    if order.action != "stop" or answer.reply.error or view.hands is None:
        return
    if view.boot != order.boot or view.report(order.group) is None:
        return
    stopped = GroupReport(group=order.group, epoch=order.epoch, state="stopped")
    others = [one for one in view.hands.groups if one.group != order.group]
    hands = msgspec.structs.replace(view.hands, groups=[*others, stopped])
    turn.set_node(replace(view, hands=hands))


def heard(turn: Turn, view: GroupView, reply: OrderReply) -> None:
    """The hands say how long it may take, or why they do not take it."""
    not_taken = "" if reply.accepted else reply.error
    if (view.takes, view.not_taken) != (reply.takes, not_taken):
        turn.set_group(replace(view, takes=reply.takes, not_taken=not_taken))


def overdue(state: State, view: GroupView, now: float) -> bool:
    """Whether the hands had more time than all their actions together may take.

    By their own file, too: it may have other time-outs, or what ours has no more.
    """
    resources = state.cluster.groups[view.group].resources.values()
    allowed = sum(resource.start_timeout + resource.stop_timeout for resource in resources)
    return now - view.phase_since > max(allowed, view.takes) + SLACK


def turned_down(view: GroupView, owner: NodeView, now: float) -> bool:
    """Whether the hands, which hold their lease, do not take a start, and not for a moment only."""
    holds = owner.hands is not None and owner.hands.lease_valid
    starting = view.record.phase == Phase.STARTING
    return starting and bool(view.not_taken) and holds and now - view.phase_since > SLACK


def action_of(view: GroupView) -> Literal["start", "stop"]:
    """What the current phase orders."""
    assert view.record.phase in (Phase.STARTING, Phase.STOPPING)
    return "start" if view.record.phase == Phase.STARTING else "stop"


def _announce(turn: Turn, view: GroupView, owner: NodeView) -> GroupView:
    assert view.record.intent is not None
    sent = turn.emit(
        OrderSent(
            group=view.group,
            node=owner.node,
            action=action_of(view),
            epoch=view.record.epoch,
            intent=view.record.intent.step,
        ),
        group_entity(view.group),
        trail_of(view),
    )
    announced = replace(view, order=sent)
    turn.set_group(announced)
    return announced
