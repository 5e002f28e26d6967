"""Records that cannot be true change nothing; a record that was spoiled is put right.

Whoever may write the bucket may write nonsense into it, by a defect or by malice. Compare-and-set
against the revision we know would then fail for ever. So the nonsense's revision is remembered,
and the leader writes the record that stood before it over it: no decision, no event of its own.
"""

from holdfast import subjects
from holdfast.failover_decider.messages import RecordSeen, RecordSpoiled, Reject, Write, WriteDone
from holdfast.failover_decider.state import GroupView
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace

WRITE_AGAIN = 0.5


def is_past(turn: Turn, view: GroupView, seen: RecordSeen) -> bool:
    """Whether a record that the bucket shows goes back in epochs, which no decider writes."""
    if seen.record.epoch >= view.record.epoch:
        return False
    reason = f"a record of epoch {seen.record.epoch}, epoch {view.record.epoch} is known"
    turn.do(Reject(f"$KV.{subjects.OWNERSHIP_BUCKET}.{view.group}", "stale", reason))
    on_record_spoiled(turn, RecordSpoiled(view.group, seen.revision))
    return True


def on_record_spoiled(turn: Turn, spoiled: RecordSpoiled) -> None:
    """The bucket holds nonsense at this revision. Without a record of our own we can do nothing."""
    view = turn.state.groups.get(spoiled.group)
    if view is not None and 0 < view.revision < spoiled.revision:
        turn.set_group(replace(view, revision=spoiled.revision, spoiled=True))


def put_right(turn: Turn, view: GroupView) -> None:
    """Write the record that is known over the nonsense."""
    if not view.in_flight and turn.now >= view.retry_at:
        turn.set_group(replace(view, in_flight=True))
        turn.do(Write(view.record, view.revision))


def on_write_done(turn: Turn, view: GroupView, done: WriteDone) -> None:
    """It is put right, or it is tried again."""
    if done.outcome == "written":
        view = replace(view, revision=done.revision, spoiled=False, in_flight=False)
    else:
        view = replace(view, in_flight=False, retry_at=turn.now + WRITE_AGAIN)
    turn.set_group(view)
