"""What operators ask of a group: rules `operator_switchover`, `operator_stop`, `operator_start`.

A request is the root of its incident, as a health signal is. It gets an answer at once: begun, or
refused with the reason; both are on the record. An operator's word goes before maintenance and
quarantine, but not before what groups require of each other, nor before a missing proof.
"""

from holdfast.events.fields import group_entity
from holdfast.events.ownership import MoveKind
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider import claims, constraints, strangers
from holdfast.failover_decider.messages import Answer, GroupAsked
from holdfast.failover_decider.placement import Choice, choose
from holdfast.failover_decider.state import GroupView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.verdicts import ORDERED_DOWN, Decision, Refusal, chosen
from holdfast.failover_decider.writing import carry_out
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import Begun, GroupRequest, Refused


def on_group_asked(turn: Turn, asked: GroupAsked) -> None:
    """Decide on an operator's request and answer it."""
    request = asked.request
    if not turn.state.leading:
        # The lease may have run out between the question and this step, e.g. during a pause.
        turn.do(Answer(asked.number, Refused(reason="this decider leads no more: ask again")))
        return
    view = turn.state.groups.get(request.group)
    if view is None:
        text = f"there is no group {request.group} in the cluster file"
        turn.do(Answer(asked.number, Refused(reason=text)))
        return
    root = turn.emit(
        OperatorRequest(
            operator=request.operator,
            request=request.action,
            arguments={"target": request.target} if request.target else {},
        ),
        group_entity(request.group),
    )
    verdict = _judge(turn.state, view, request, root, turn.now)
    carry_out(turn, view, verdict)
    match verdict:
        case Decision():
            turn.do(Answer(asked.number, Begun(incident=root.incident, target=verdict.target)))
        case Refusal():
            turn.do(Answer(asked.number, Refused(reason=verdict.reason)))


def _judge(
    state: State, view: GroupView, request: GroupRequest, root: Trail, now: float
) -> Decision | Refusal:
    rule = f"operator_{request.action}"
    reason = _impossible(state, view, request, now)
    if reason is not None:
        return Refusal(rule, reason, root)
    match request.action:
        case "stop":
            return _stop(rule, view, root)
        case "switchover":
            # Stop it in order where it runs, start it on the target; if that fails, where it was.
            kind, first, not_on = MoveKind.SWITCHOVER, Phase.STOPPING, [view.record.boot or ""]
        case "start":
            kind, first, not_on = MoveKind.START, Phase.STARTING, []
    orderly = kind == MoveKind.SWITCHOVER
    choice = choose(state, view.group, now, not_on, request.target, orderly=orderly)
    if choice.target is None or (request.target and choice.target != request.target):
        reason = f"no node may run it: {choice.reasons(request.target)}"
        return Refusal(rule, reason[:1000], root)
    return replace(chosen(rule, kind, first, choice, root), by_operator=True)


def _stop(rule: str, view: GroupView, root: Trail) -> Decision:
    """Stop it where it runs, or may run still after a stop that failed; else it is to stay down."""
    record, nowhere = view.record, Choice(target=None, alternatives=[])
    if record.owner is None:
        down = chosen(rule, MoveKind.STOP, Phase.HELD, nowhere, root)
        return replace(down, reason=ORDERED_DOWN)
    again = record.reason if record.phase == Phase.HELD else ""  # silence is no proof of it yet
    return replace(chosen(rule, MoveKind.STOP, Phase.STOPPING, nowhere, root), reason=again)


def _impossible(state: State, view: GroupView, request: GroupRequest, now: float) -> str | None:
    """Why not, whatever the nodes are like."""
    record = view.record
    wanted = {
        "start": {Phase.HELD, Phase.STOPPED},
        "stop": {Phase.ACTIVE, Phase.HELD, Phase.STOPPED},
        "switchover": {Phase.ACTIVE},
    }[request.action]
    if state.buckets_lost:
        return state.buckets_lost[:1000]
    if view.writing is not None or not (state.records_loaded and state.buckets_checked):
        return "a change of this group is under way"
    if strangers.stranger(state, view):
        return strangers.because(view)
    if claims.above(state, view):
        return claims.told(state, view)
    if record.phase not in wanted:
        return f"the group is {record.phase}"
    if request.action == "start" and record.owner is not None:
        return f"nobody could confirm that it stopped on {record.owner}: {record.reason}"[:1000]
    if request.action == "stop":
        if record.owner is None and record.ordered_down:
            return f"it is stopped: {record.reason}"
        above = ", ".join(constraints.dependents(state, view.group))
        return f"{above} requires it and runs: stop that first" if above else None
    running = claims.runs_somewhere(state, view, now) if request.action == "start" else ""
    missing = constraints.missing(state, view.group)
    return running or (constraints.waits_for(missing) if missing else None)
