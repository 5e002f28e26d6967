"""One group's way through the phases of its record; docs/design/contracts.md has the table.

Nothing here relies on memory: a new leader reads the record and continues from its phase, sending
the same orders under the same intent ids.
"""

import msgspec

from holdfast.events.fields import group_entity
from holdfast.events.ownership import MoveFailed
from holdfast.failover_decider import (
    claims,
    constraints,
    fencing,
    lost_records,
    planned,
    proofs,
    reboots,
    rules,
    strangers,
    unmanaged,
)
from holdfast.failover_decider.maintenance import permitted
from holdfast.failover_decider.messages import OrderAnswered
from holdfast.failover_decider.orders import action_of, keep_ordering, matches, note, overdue
from holdfast.failover_decider.patience import silent_past_ttl
from holdfast.failover_decider.placement import alive, choose
from holdfast.failover_decider.restraint import restraint
from holdfast.failover_decider.spoiled import put_right
from holdfast.failover_decider.state import GroupView, NodeView, Suspicion, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.unserved import volume_unserved
from holdfast.failover_decider.verdicts import ORDERED_DOWN, Refusal, Rule
from holdfast.failover_decider.writing import (
    carry_out,
    next_intent,
    refuse,
    trail_of,
    write,
    write_again,
)
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace
from holdfast.wire import Proof


def advance(turn: Turn, group: str) -> None:
    """Do what the group's phase calls for now. Leaders only, and never while a write is open."""
    state, view = turn.state, turn.group(group)
    if not state.leading or lost_records.forbids(turn, view) or not state.records_loaded:
        return
    if view.writing is not None:
        lost_records.say_if_stuck(turn, view)
        write_again(turn, turn.group(group))
        return
    if view.spoiled:
        put_right(turn, view)
        return
    if (refusal := strangers.unknown_owner(state, view, turn.now)) is not None:
        carry_out(turn, view, refusal)
        return
    if lost_records.see_to(turn, view):
        return
    match view.record.phase:
        case Phase.STOPPED:
            _first(turn, view, rules.start_stopped)
        case Phase.HELD:
            _held(turn, view)
        case Phase.ACTIVE:
            _active(turn, view)
        case Phase.FENCING:
            _fencing(turn, view)
        case Phase.STOPPING | Phase.STARTING:
            _ordering(turn, view)


def on_order_answered(turn: Turn, answer: OrderAnswered) -> None:
    """The hands say how an order stands. Only `done` without an error is success."""
    view = turn.state.groups.get(answer.order.group)
    if view is None or not turn.state.leading or not matches(view, answer):
        return
    reply = answer.reply
    if not reply.done:
        return
    note(turn, answer)
    after = trail_of(view)
    view = replace(view, done=Trail(after.incident, reply.event) if reply.event else after)
    turn.set_group(view)
    if reply.error:
        _step_failed(turn, view, reply.error, lease_ended=reply.lease_ended)
    elif view.record.phase == Phase.STARTING:
        write(turn, view, _changed(view, phase=Phase.ACTIVE, intent=None, reason=""))
    else:
        _start_or_hold(turn, view, "stop")


def _held(turn: Turn, view: GroupView) -> None:
    """Held with an owner: nobody could confirm that it stopped there. Without: start it, if any."""
    if view.record.owner is None:
        _first(turn, view, rules.start_stopped)
    elif rules.owner_runs_it_still(turn.state, view, turn.now):
        reason = f"{view.record.owner} runs it, and well: the stop did not come to pass"
        refuse(turn, view, Refusal("owner_runs_it_still", reason, trail_of(view)))
        write(turn, turn.group(view.group), _changed(view, phase=Phase.ACTIVE, intent=None))
    else:
        _first(turn, view, *_of_the_owner())


def _active(turn: Turn, view: GroupView) -> None:
    further = (
        unmanaged.unmanaged_at_owner,
        rules.failed_at_owner,
        rules.owner_lost_track,
        volume_unserved,
        planned.misplaced,
        planned.failback,
    )
    _first(turn, view, *_of_the_owner(), *further)


def _of_the_owner() -> tuple[Rule, ...]:
    """What may have become of an owner, whether its group runs or is held there."""
    return (
        rules.owner_lost,
        rules.owner_rebooted,
        reboots.reboot_unconfirmed,
        rules.owner_stopped_it,
    )


def _first(turn: Turn, view: GroupView, *candidates: Rule) -> None:
    """Carry out the first rule that has a verdict. Their order is their priority."""
    for rule in candidates:
        verdict = rule(turn.state, view, turn.now)
        if verdict is not None:
            carry_out(turn, view, permitted(turn.state, view, verdict))
            return


def _fencing(turn: Turn, view: GroupView) -> None:
    """Wait for the proof; then start elsewhere. Call it off if a node that was silent is back."""
    owner = _owner(turn, view)
    if reboots.rebooted(owner, view.record):
        _rebooted(turn, view, owner, "fence")
    elif owner.revoked is not None and _is_out(owner, view):
        view = replace(view, done=_within(view, owner.revoked))
        turn.set_group(view)
        _start_or_hold(turn, view, "fence")
    elif not view.confirmed:
        _confirm(turn, view)
    elif held := _held_back(turn, owner):
        refuse(turn, view, Refusal("mass_fencing", held, trail_of(view)))
    elif owner.suspicion is not None and owner.suspicion.failures:
        reason = f"{owner.node} may be alive: {owner.suspicion.last_answer}"
        refuse(turn, view, Refusal("fence_unproven", reason, trail_of(view)))
    elif unended := rules.hands_silent(turn.state, owner):
        refuse(turn, view, Refusal("hands_silent", unended, trail_of(view)))
    elif view.record.reason and turn.state.cluster.nodes[owner.node].fence:
        _fence_although_heard(turn, view, owner)
    elif alive(turn.state, owner, turn.now):
        _call_off(turn, view, owner)


def _is_out(owner: NodeView, view: GroupView) -> bool:
    told = unmanaged.managed(owner, view.group)
    return proofs.suffices(_proof(owner), view.record, managed=told)


def _call_off(turn: Turn, view: GroupView, owner: NodeView) -> None:
    """The owner lives. Where a stop failed before it was silent, the group is held as it was.

    Of an order that its silence interrupted nobody knows whether it was taken: the group is emptied
    there, in the same epoch, and the move goes on. Only what merely ran there is left to it.
    """
    reason = f"{owner.node} is heard again, in the same boot"
    refuse(turn, view, Refusal("owner_came_back", reason, trail_of(view)))
    view = turn.group(view.group)
    if proofs.stop_failed(view.record):
        intent = next_intent(turn, view, "fence")
        write(turn, view, _changed(view, phase=Phase.HELD, intent=intent))
    elif view.record.intent is not None and view.record.intent.interrupted:
        intent = next_intent(turn, view, "fence")
        write(turn, view, _changed(view, phase=Phase.STOPPING, intent=intent))
    else:
        write(turn, view, _changed(view, phase=Phase.ACTIVE, intent=None))


def _rebooted(turn: Turn, view: GroupView, owner: NodeView, finished: str) -> None:
    """The boot of the record is over. What a new one may run is stopped there, then it starts."""
    if reboots.confirmed(owner, view.group):
        _start_or_hold(turn, view, finished)
    elif reason := reboots.unconfirmed(turn.state, view, turn.now):
        refuse(turn, view, Refusal("reboot_unconfirmed", reason, trail_of(view)))
        intent = next_intent(turn, view, finished)
        record = _changed(view, phase=Phase.STOPPING, boot=owner.boot, intent=intent, reason="")
        write(turn, turn.group(view.group), record)


def _confirm(turn: Turn, view: GroupView) -> None:
    """A predecessor's record, as our watch shows it, which may lag: stored again, then obeyed."""
    write(turn, view, view.record)


def _proof(owner: NodeView) -> Proof | None:
    return owner.suspicion.proof if owner.suspicion is not None else None


def _held_back(turn: Turn, owner: NodeView) -> str:
    """Why the owner's fence devices are not told to switch it off; empty if they are."""
    seeking = owner.suspicion is not None and owner.suspicion.proof is None
    devices = turn.state.cluster.nodes[owner.node].fence
    return restraint(turn.state, owner, turn.now) if seeking and devices else ""


def _fence_although_heard(turn: Turn, view: GroupView, owner: NodeView) -> None:
    """A stop failed on a node that is well enough to talk: it is suspected for that alone."""
    if owner.suspicion is not None or owner.boot != view.record.boot:
        return
    after = trail_of(view)
    suspicion = Suspicion(trail=after, signal=after.cause, since=owner.heard, raised=turn.now)
    turn.set_suspicion(owner.node, suspicion)
    fencing.on_tick(turn)


def _ordering(turn: Turn, view: GroupView) -> None:
    owner = _owner(turn, view)
    suspicion = owner.suspicion
    lost = suspicion is not None and (
        suspicion.proof is not None or silent_past_ttl(turn.state, suspicion, turn.now)
    )
    if reboots.rebooted(owner, view.record):
        _rebooted(turn, view, owner, view.record.phase)
    elif lost:
        intent = next_intent(turn, view, view.record.phase, interrupted=True)
        write(turn, view, _changed(view, phase=Phase.FENCING, intent=intent))
    elif not view.confirmed:
        _confirm(turn, view)
    elif overdue(turn.state, view, turn.now):
        _step_failed(turn, view, f"the hands of {owner.node} did not finish it in time")
    elif owner.clock > 0:
        keep_ordering(turn, view, owner)


def _step_failed(turn: Turn, view: GroupView, reason: str, *, lease_ended: bool = False) -> None:
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
            write(turn, view, _changed(view, phase=Phase.STOPPING, intent=intent))
            return
        tried = [*record.intent.tried, *boots][-15:]
        intent = next_intent(turn, view, step, tried=tried, cause=failure.cause)
        avoid = [*record.avoid, *boots][-15:]
        write(turn, view, _changed(view, phase=Phase.STOPPING, intent=intent, avoid=avoid))
        return
    intent = next_intent(turn, view, step, cause=failure.cause)
    if turn.state.cluster.nodes[record.owner].fence:
        text = f"stop failed: {reason}"[:1000]
        write(turn, view, _changed(view, phase=Phase.FENCING, intent=intent, reason=text))
    else:
        text = f"stop failed, and {record.owner} has no fence device: {reason}"[:1000]
        write(turn, view, _changed(view, phase=Phase.HELD, intent=intent, reason=text))


def _start_or_hold(turn: Turn, view: GroupView, finished: str) -> None:
    """The old owner is surely out: order the start on the best node left, or hold the group."""
    intent = view.record.intent
    assert intent is not None
    if view.record.ordered_down:
        down = next_intent(turn, view, finished)
        nobody = _changed(view, phase=Phase.HELD, owner=None, boot=None, intent=down)
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
        text = f"no node may run it: {choice.reasons()}"[:1000]
        text = constraints.waits_for(missing) if missing else elsewhere or text
        held = next_intent(turn, view, finished, target=None)
        record = _changed(view, phase=Phase.HELD, owner=None, boot=None, intent=held, reason=text)
    else:
        record = _changed(
            view,
            phase=Phase.STARTING,
            epoch=claims.next_epoch(turn.state, view),
            owner=choice.target,
            boot=turn.node(choice.target).boot,
            intent=next_intent(turn, view, finished, target=choice.target),
            reason="",
        )
    write(turn, view, record)


def _changed(view: GroupView, **changes: object) -> OwnershipRecord:
    return msgspec.structs.replace(view.record, **changes)


def _within(view: GroupView, trail: Trail) -> Trail:
    """An event about the node, as a cause within this group's incident."""
    return Trail(trail_of(view).incident, trail.cause)


def _owner(turn: Turn, view: GroupView) -> NodeView:
    assert view.record.owner is not None, "these phases have an owner"
    return turn.node(view.record.owner)
