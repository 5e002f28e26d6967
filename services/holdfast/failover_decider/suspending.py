"""Telling the hands which groups are in maintenance, so that they restart nothing in them.

The whole set, every two seconds. When it is not heard for half a minute the hands go on as ever.
"""

from holdfast.events.policies import Scope
from holdfast.failover_decider.messages import TellHands
from holdfast.failover_decider.placement import alive
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace
from holdfast.wire import Suspend

TELL_EVERY = 2.0
LASTS = 30.0


def on_tick(turn: Turn) -> None:
    """Repeat it while there is such a group, and for as long afterwards as the hands believe it."""
    state, view = turn.state, turn.state.standing
    if not (state.leading and state.records_loaded):
        return
    groups = [
        mark.name
        for mark in view.stored.marks
        if mark.kind == "maintenance" and mark.scope == Scope.GROUP
    ]
    if turn.now < view.tell_at and bool(groups) == view.told:
        return
    if not groups and not view.told:
        return
    turn.state = replace(
        state, standing=replace(view, told=bool(groups), tell_at=turn.now + TELL_EVERY)
    )
    for node in state.nodes.values():
        if alive(state, node, turn.now) and node.boot is not None:
            # On the receiver's clock, and early if anything, as the expiry of an order.
            until = node.clock + (turn.now - node.heard) + LASTS
            mine = [g for g in groups if g in state.cluster.groups]
            turn.do(
                TellHands(Suspend(node=node.node, boot=node.boot, groups=mine, not_after=until))
            )
