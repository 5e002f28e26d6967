"""How a move goes on when something of it has ended, well or not."""

import msgspec

from holdfast.events.fields import group_entity
from holdfast.events.ownership import MoveFailed
from holdfast.failover_decider import claims, constraints, reboots
from holdfast.failover_decider.orders import action_of
from holdfast.failover_decider.placement import alive, choose
from holdfast.failover_decider.state import GroupView, NodeView
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import ORDERED_DOWN, Refusal
from holdfast.failover_decider.writing import next_intent, refuse, trail_of, write
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace


def start_or_hold(turn: Turn, view: GroupView, finished: str) -> None:
    """The old owner is surely out: order the start on the best node left, or hold the group."""
    intent = view.record.intent
    assert intent is not None
    if view.record.ordered_down:
        down = next_intent(turn, view, finished)
        nobody = changed(view, phase=Phase.HELD, owner=None, boot=None, intent=down)
        write(turn, view, replace(nobody, reason=ORDERED_DOWN))
        return
    # Of an orderly move whose target failed: back to where it was.
    failed = intent.tried or intent.excused
    wanted = intent.origin if intent.origin and failed else intent.target
    origin = turn.state.nodes.get(intent.origin) if intent.origin else None
    # If it died before it had stopped, a copy that follows may lack something.
    orderly = origin is not None and alive(turn.state, origin, turn.now)
    choice = choose(turn.state, view.group, turn.now, intent.tried, wanted, intent.origin, orderly)
    missing = constraints.missing(turn.state, view.group)
    elsewhere = claims.runs_somewhere(turn.state, view, turn.now)
    if missing or elsewhere or choice.target is None:
        text = choice.nobody()
        text = constraints.waits_for(missing) if missing else elsewhere or text
        held = next_intent(turn, view, finished, target=None)
        record = changed(view, phase=Phase.HELD, owner=None, boot=None, intent=held, reason=text)
    else:
        record = changed(
            view,
            phase=Phase.STARTING,
            epoch=claims.next_epoch(turn.state, view),
            owner=choice.target,
            boot=turn.node(choice.target).boot,
            intent=next_intent(turn, view, finished, target=choice.target),
            reason="",
        )
    write(turn, view, record)


def step_failed(turn: Turn, view: GroupView, reason: str, *, lease_ended: bool = False) -> None:
    """A failed start is cleaned up where it was; a failed stop calls for a fence."""
    record = view.record
    assert record.intent is not None
    assert record.owner is not None
    step = action_of(view)
    failure = turn.emit(
        MoveFailed(
            group=view.group,
            kind=record.intent.kind,
            intent=record.intent.id,
            node=record.owner,
            epoch=record.epoch,
            step=step,
            reason=reason[:1000],
        ),
        group_entity(view.group),
        view.order or trail_of(view),
    )
    view = replace(view, done=failure)
    turn.set_group(view)
    if record.phase == Phase.STARTING:
        boots = list(filter(None, [record.boot]))
        if lease_ended and record.boot not in record.intent.excused:
            excused = [*record.intent.excused, *boots][-15:]
            intent = next_intent(turn, view, step, excused=excused, cause=failure.cause)
            write(turn, view, changed(view, phase=Phase.STOPPING, intent=intent))
            return
        tried = [*record.intent.tried, *boots][-15:]
        intent = next_intent(turn, view, step, tried=tried, cause=failure.cause)
        avoid = [*record.avoid, *boots][-15:]
        write(turn, view, changed(view, phase=Phase.STOPPING, intent=intent, avoid=avoid))
        return
    intent = next_intent(turn, view, step, cause=failure.cause)
    if turn.state.cluster.nodes[record.owner].fence:
        text = f"stop failed: {reason}"[:1000]
        write(turn, view, changed(view, phase=Phase.FENCING, intent=intent, reason=text))
    else:
        text = f"stop failed, and {record.owner} has no fence device: {reason}"[:1000]
        write(turn, view, changed(view, phase=Phase.HELD, intent=intent, reason=text))


def owner_rebooted(turn: Turn, view: GroupView, owner: NodeView, finished: str) -> None:
    """The boot of the record is over. What a new one may run is stopped there, then it starts."""
    if reboots.confirmed(owner, view.group):
        start_or_hold(turn, view, finished)
    elif reason := reboots.unconfirmed(turn.state, view, turn.now):
        refuse(turn, view, Refusal("reboot_unconfirmed", reason, trail_of(view)))
        intent = next_intent(turn, view, finished)
        record = changed(view, phase=Phase.STOPPING, boot=owner.boot, intent=intent, reason="")
        write(turn, turn.group(view.group), record)


def confirm(turn: Turn, view: GroupView) -> None:
    """A predecessor's record, as our watch shows it, which may lag: stored again, then obeyed."""
    write(turn, view, view.record)


def changed(view: GroupView, **changes: object) -> OwnershipRecord:
    """The record with something else in it."""
    return msgspec.structs.replace(view.record, **changes)
