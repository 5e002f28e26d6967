"""Storing maintenance and quarantine, and telling hands and record. Only what is stored counts.

The leader alone writes. Every decider estimates on its own clock when a mark ends: it counts from
when it first saw it, and takes the earlier of two estimates, so it errs towards late only. The
leader stores the time left anew each minute, so that a change of leader adds no more than that.
"""

import msgspec

from holdfast import subjects
from holdfast.events.fields import cluster_entity, group_entity, node_entity
from holdfast.events.policies import (
    MaintenanceBegan,
    MaintenanceEnded,
    QuarantineBegan,
    QuarantineEnded,
    Scope,
)
from holdfast.failover_decider.messages import Reject, StandingSeen, StandingWritten, WriteStanding
from holdfast.failover_decider.state import StandingView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.standing import MAX_MARKS, STANDING_KEY, Mark, Standing
from holdfast.structs import replace

WRITE_AGAIN = 0.5
STORE_LEFT_EVERY = 60.0
EXPIRED = "its time is over"


def ready(turn: Turn) -> bool:
    """Whether a change may begin: one is stored at a time."""
    view = turn.state.standing
    return turn.state.leading and turn.state.records_loaded and view.writing is None


def put(turn: Turn, mark: Mark) -> None:
    """Store a mark, in place of one of its kind on the same thing. Nothing if there is no room."""
    others = [one for one in _current(turn) if not _same(one, mark)]
    if len(others) < MAX_MARKS:
        _write(turn, [*others, mark])


def drop(turn: Turn, mark: Mark, after: Trail, reason: str) -> None:
    """Store that a mark is over."""
    view = turn.state.standing
    _set(turn, replace(view, why={**view.why, key(mark): (after, reason)}))
    _write(turn, [one for one in _current(turn) if not _same(one, mark)])


def key(mark: Mark) -> str:
    """One mark, told apart from an earlier one on the same thing."""
    return f"{mark.kind}/{mark.scope}/{mark.name}/{mark.id}"


def entity(scope: Scope, name: str) -> str:
    """The `subject` of events about what a mark is about."""
    of = {Scope.CLUSTER: cluster_entity, Scope.NODE: node_entity, Scope.GROUP: group_entity}
    return of[scope](name)


def left(view: StandingView, mark: Mark, now: float) -> float | None:
    """Seconds until a mark ends by itself."""
    return None if mark.left is None else max(0.0, view.ends.get(key(mark), now) - now)


def on_tick(turn: Turn) -> None:
    """What is over ends; what is not is stored with the time that is left. Leaders only."""
    view = turn.state.standing
    if view.writing is not None:
        if not view.in_flight and turn.now >= view.retry_at:
            _set(turn, replace(view, in_flight=True))
            turn.do(WriteStanding(view.writing, view.revision))
        return
    if not ready(turn):
        return
    timed = [mark for mark in view.stored.marks if mark.left is not None]
    over = [mark for mark in timed if left(view, mark, turn.now) == 0.0]
    if over:
        drop(turn, over[0], Trail(over[0].incident, over[0].id), EXPIRED)
    elif timed and turn.now - view.written_at >= STORE_LEFT_EVERY:
        _write(turn, _current(turn))


def on_seen(turn: Turn, seen: StandingSeen) -> None:
    """The bucket shows them: ours, or another leader's. Nonsense is written over."""
    view = turn.state.standing
    if seen.revision <= view.revision:
        return
    if seen.standing is None:
        turn.do(Reject(f"$KV.{subjects.OWNERSHIP_BUCKET}.{STANDING_KEY}", "malformed", "restored"))
        _set(turn, replace(view, revision=seen.revision, writing=view.writing or view.stored))
    elif seen.standing == view.writing:
        _adopt(turn, seen.standing, seen.revision)
    else:
        _take(turn, replace(view, writing=None, in_flight=False, why={}), seen)


def on_written(turn: Turn, done: StandingWritten) -> None:
    """A compare-and-set ended. Only `written` is a success; else it is tried again."""
    view = turn.state.standing
    if view.writing != done.standing:
        return
    if done.outcome == "written":
        _adopt(turn, done.standing, done.revision)
    else:
        _set(turn, replace(view, in_flight=False, retry_at=turn.now + WRITE_AGAIN))


def stop_leading(state: State) -> State:
    """What was not stored is forgotten."""
    view = replace(state.standing, writing=None, in_flight=False, why={}, told=False)
    return replace(state, standing=view)


def _current(turn: Turn) -> list[Mark]:
    view = turn.state.standing
    return [
        msgspec.structs.replace(mark, left=left(view, mark, turn.now)) for mark in view.stored.marks
    ]


def _same(one: Mark, other: Mark) -> bool:
    return (one.kind, one.scope, one.name) == (other.kind, other.scope, other.name)


def _write(turn: Turn, marks: list[Mark]) -> None:
    view, wanted = turn.state.standing, Standing(marks=marks)
    _set(turn, replace(view, writing=wanted, in_flight=True))
    turn.do(WriteStanding(wanted, view.revision))


def _adopt(turn: Turn, standing: Standing, revision: int) -> None:
    """A write of ours is in the bucket: say what began and what ended."""
    view = turn.state.standing
    before = {key(mark): mark for mark in view.stored.marks}
    after = {key(mark): mark for mark in standing.marks}
    for name, mark in before.items():
        if name not in after:
            trail, reason = view.why.get(name, (Trail(mark.incident, mark.id), "replaced"))
            _say_ended(turn, mark, trail, reason)
    for name, mark in after.items():
        if name not in before:
            _say_began(turn, mark)
    _take(
        turn,
        replace(turn.state.standing, writing=None, in_flight=False, why={}),
        StandingSeen(standing, revision),
    )


def _take(turn: Turn, view: StandingView, seen: StandingSeen) -> None:
    """From now on these count."""
    assert seen.standing is not None
    ends = {}
    for mark in seen.standing.marks:
        if mark.left is not None:
            estimate = turn.now + mark.left
            ends[key(mark)] = min(estimate, view.ends.get(key(mark), estimate))
    kept = {key(mark) for mark in seen.standing.marks}
    _set(
        turn,
        replace(view, stored=seen.standing, revision=seen.revision, ends=ends, written_at=turn.now),
    )
    for mark in view.stored.marks:
        if mark.kind == "quarantine" and key(mark) not in kept:
            _forget(turn, mark)


def _forget(turn: Turn, mark: Mark) -> None:
    """A quarantine ended: what led to it counts no more."""
    if mark.scope == Scope.NODE and mark.name in turn.state.nodes:
        turn.set_node(replace(turn.node(mark.name), failures=()))
    elif mark.scope == Scope.GROUP and mark.name in turn.state.groups:
        turn.set_group(replace(turn.group(mark.name), moved_at=()))


def _say_began(turn: Turn, mark: Mark) -> None:
    trail = Trail(mark.incident, mark.id)
    where = entity(mark.scope, mark.name)
    if mark.kind == "maintenance":
        began = MaintenanceBegan(
            scope=mark.scope,
            name=mark.name,
            operator=mark.operator,
            reason=mark.reason,
            lasts=mark.left,
        )
        turn.emit(began, where, trail)
    else:
        quarantined = QuarantineBegan(
            scope=mark.scope, name=mark.name, reason=mark.reason, lasts=mark.left
        )
        turn.emit(quarantined, where, trail)


def _say_ended(turn: Turn, mark: Mark, trail: Trail, reason: str) -> None:
    kind = MaintenanceEnded if mark.kind == "maintenance" else QuarantineEnded
    ended = kind(scope=mark.scope, name=mark.name, reason=reason)
    turn.emit(ended, entity(mark.scope, mark.name), trail)


def _set(turn: Turn, view: StandingView) -> None:
    turn.state = replace(turn.state, standing=view)
