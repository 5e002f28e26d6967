"""Changing an ownership record: the one place from which compare-and-sets come.

The decision is put on the record first, then stored; only a stored intent has side effects.
"""

import msgspec

from holdfast.events.fields import group_entity
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    GroupHeld,
    MoveCompleted,
    MoveKind,
    OwnershipChanged,
)
from holdfast.failover_decider import boots, claims, damping, restraint, spoiled
from holdfast.failover_decider.messages import (
    MoveStreamLeaders,
    RecordSeen,
    Write,
    WriteDone,
)
from holdfast.failover_decider.state import GroupView, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import Decision, Refusal, Verdict
from holdfast.ownership import Intent, OwnershipRecord, Phase
from holdfast.structs import replace

ORDERLY = (MoveKind.SWITCHOVER, MoveKind.FAILBACK)
"""Moves of a group that runs well: they are rolled back if the target fails."""
WRITE_AGAIN = 0.5
"""Seconds until a write is tried again after a conflict or a time-out."""


def carry_out(turn: Turn, view: GroupView, verdict: Verdict) -> None:
    """Put a verdict on the record; a decision is then stored, a refusal is said once."""
    match verdict:
        case Decision():
            _decide(turn, view, verdict)
        case Refusal():
            refuse(turn, view, verdict)
        case None:
            pass


def write(turn: Turn, view: GroupView, record: OwnershipRecord) -> None:
    """Ask for a compare-and-set against the revision we know."""
    assert view.writing is None, "one write per group at a time"
    assert record.epoch >= view.record.epoch, "epochs only rise"
    turn.set_group(replace(view, writing=record, in_flight=True, writing_since=turn.now))
    turn.do(Write(record, view.revision))


def write_again(turn: Turn, view: GroupView) -> None:
    """Repeat a write that did not get through. What was decided is not decided twice."""
    if view.writing is not None and not view.in_flight and turn.now >= view.retry_at:
        turn.set_group(replace(view, in_flight=True))
        turn.do(Write(view.writing, view.revision))


def on_write_done(turn: Turn, done: WriteDone) -> None:
    """A compare-and-set ended. Only `written` is a success.

    Otherwise it is repeated until it succeeds, or the watch shows that the record moved on.
    """
    view = turn.group(done.record.group)
    if done.outcome == "written" and done.revision <= view.revision:
        return  # late: the watch has shown it, and maybe more, already
    if view.spoiled and view.writing is None and done.record == view.record:
        spoiled.on_write_done(turn, view, done)
        return
    if view.writing != done.record:
        return
    if done.outcome == "written":
        _adopt(turn, view, done.record, done.revision)
    else:
        turn.set_group(replace(view, in_flight=False, retry_at=turn.now + WRITE_AGAIN))


def on_record_seen(turn: Turn, seen: RecordSeen) -> None:
    """The bucket shows a record: ours, that of another leader, or one from before we started."""
    view = turn.state.groups.get(seen.record.group)
    if view is None or seen.revision <= view.revision or spoiled.is_past(turn, view, seen):
        return
    if view.spoiled and seen.record == view.record:
        turn.set_group(replace(view, revision=seen.revision, spoiled=False, in_flight=False))
        return
    if view.writing is not None and seen.record == view.writing:
        _adopt(turn, view, seen.record, seen.revision)
        return
    boots.recorded(turn, view.record, seen.record)
    turn.set_group(
        GroupView(
            view.group,
            seen.record,
            seen.revision,
            phase_since=turn.now,
            refused=view.refused,
            moved_at=view.moved_at,
        )
    )
    restraint.note(turn, view.record, seen.record)
    if view.revision:
        damping.note(turn, view.record, seen.record)


def trail_of(view: GroupView) -> Trail:
    """What the next event about this group's move gives as its cause."""
    if view.changed is not None:
        return view.changed
    intent = view.record.intent
    assert intent is not None, "only a record with an intent calls for action"
    return Trail(intent.incident, intent.cause)


def spent(view: GroupView, phase: str, now: float) -> dict[str, float]:
    """The intent's account of time, with the current phase added."""
    intent = view.record.intent
    before = dict(intent.spent) if intent else {}
    if view.decide_took:
        before["decide"] = round(view.decide_took, 4)
    before[phase] = round(before.get(phase, 0.0) + now - view.phase_since, 4)
    return before


def next_intent(turn: Turn, view: GroupView, phase: str, **changes: object) -> Intent:
    """The intent for the next phase: a fresh step, and the account of time brought up to date."""
    assert view.record.intent is not None
    anew = {"step": turn.mint(), "interrupted": False, **changes}
    return msgspec.structs.replace(view.record.intent, spent=spent(view, phase, turn.now), **anew)


def _decide(turn: Turn, view: GroupView, decision: Decision) -> None:
    record = view.record
    intent_id = turn.mint()
    next_epoch = claims.next_epoch(turn.state, view)
    owner, boot, epoch = record.owner, decision.boot or record.boot, record.epoch
    if decision.phase == Phase.STARTING:
        assert decision.target is not None
        owner, boot, epoch = decision.target, turn.node(decision.target).boot, next_epoch
    elif decision.phase == Phase.HELD:
        owner = boot = None
    made = turn.emit(
        DecisionMade(
            group=view.group,
            kind=decision.kind,
            rule=decision.rule,
            intent=intent_id,
            source=record.owner,
            target=decision.target,
            epoch=next_epoch,
            evidence=decision.evidence,
            alternatives=decision.alternatives,
        ),
        group_entity(view.group),
        decision.after,
    )
    intent = Intent(
        id=intent_id,
        step=turn.mint(),
        kind=decision.kind,
        target=decision.target,
        incident=made.incident,
        cause=made.cause,
        tried=decision.failed,
        origin=record.owner if decision.kind in ORDERLY else None,
        spent={"suspect": round(decision.suspected_for, 4)} if decision.suspected_for else {},
    )
    write(
        turn,
        replace(view, deciding_since=decision.needed_since or turn.now),
        OwnershipRecord(
            group=view.group,
            epoch=epoch,
            owner=owner,
            boot=boot,
            phase=decision.phase,
            intent=intent,
            reason=decision.reason,
            avoid=[] if decision.by_operator else [*record.avoid, *decision.failed][-15:],
        ),
    )


def refuse(turn: Turn, view: GroupView, refusal: Refusal) -> None:
    """Say it, once; and see that the group is quarantined, if that is what it says."""
    if refusal.quarantine:
        damping.quarantine_group(turn, view, refusal)
    said = (refusal.rule, refusal.reason)
    if view.refused == said:
        return
    turn.emit(
        DecisionRefused(
            group=view.group,
            node=view.record.owner,
            rule=refusal.rule,
            reason=refusal.reason,
            evidence=refusal.evidence,
        ),
        group_entity(view.group),
        refusal.after,
    )
    turn.set_group(replace(view, refused=said))


def _adopt(turn: Turn, view: GroupView, record: OwnershipRecord, revision: int) -> None:
    """A write of ours is in the bucket: say so, and begin the next phase."""
    intent = record.intent or view.record.intent
    after = view.done or (Trail(intent.incident, intent.cause) if intent else None)
    assert after is not None, "who writes names the cause"
    changed = turn.emit(
        OwnershipChanged(
            group=view.group,
            epoch=record.epoch,
            owner=record.owner,
            previous_owner=view.record.owner,
            phase=record.phase,
            revision=revision,
        ),
        group_entity(view.group),
        after,
    )
    fresh = GroupView(
        view.group,
        record,
        revision,
        confirmed=True,
        phase_since=turn.now,
        decide_took=turn.now - view.deciding_since if view.deciding_since else 0.0,
        changed=changed,
        moved_at=view.moved_at,
    )
    turn.set_group(fresh)
    restraint.forget(turn, view.record, record)
    damping.note(turn, view.record, record)
    fresh = turn.group(view.group)
    match record.phase:
        case Phase.ACTIVE if intent is not None:
            _completed(turn, fresh, view, intent)
        case Phase.HELD if (view.record.phase, view.record.owner) != (Phase.HELD, record.owner):
            held = GroupHeld(group=view.group, epoch=record.epoch, reason=record.reason)
            turn.emit(held, group_entity(view.group), changed)
        case _:
            pass


def _completed(turn: Turn, fresh: GroupView, before: GroupView, intent: Intent) -> None:
    record = fresh.record
    assert record.owner is not None
    assert fresh.changed is not None
    if before.record.phase != Phase.STARTING:
        return  # a move that was called off
    phases = spent(before, "start", turn.now)
    turn.emit(
        MoveCompleted(
            group=fresh.group,
            kind=intent.kind,
            intent=intent.id,
            node=record.owner,
            epoch=record.epoch,
            total=round(sum(phases.values()), 4),
            phases=phases,
        ),
        group_entity(fresh.group),
        fresh.changed,
    )
    owners = frozenset(g.record.owner for g in turn.state.groups.values() if g.record.owner)
    turn.do(MoveStreamLeaders(away_from=owners))
