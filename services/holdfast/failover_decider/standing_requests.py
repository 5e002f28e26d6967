"""What operators ask of maintenance and quarantine. The answer says that it is being stored;
`status` shows it when it is, and only then it counts.
"""

import msgspec

from holdfast.events.policies import Scope
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider import standing
from holdfast.failover_decider.messages import Answer, StandingAsked
from holdfast.failover_decider.placement import marked
from holdfast.failover_decider.state import GroupView, State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.failover_decider.writing import write
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.standing import Mark
from holdfast.structs import replace
from holdfast.wire import Begun, ClearRequest, MaintenanceRequest, Refused


def on_standing_asked(turn: Turn, asked: StandingAsked) -> None:
    """Begin what is asked, or refuse it."""
    request = asked.request
    reason = _impossible(turn, request)
    if reason is not None:
        turn.do(Answer(asked.number, Refused(reason=reason)))
        return
    root = turn.emit(_said(request), standing.entity(Scope(request.scope), request.name))
    match request:
        case MaintenanceRequest():
            _maintain(turn, request, root)
        case ClearRequest():
            _clear(turn, request, root)
    turn.do(Answer(asked.number, Begun(incident=root.incident, target=None)))


def _impossible(turn: Turn, request: MaintenanceRequest | ClearRequest) -> str | None:
    state = turn.state
    if not state.leading:
        return "this decider leads no more: ask again"
    if not standing.ready(turn):
        return "another change of maintenance or quarantine is being stored: ask again"
    match request:
        case MaintenanceRequest(action="on", scope=scope, name=name):
            return None if name in _names(state, scope) else f"there is no {scope} {name}"
        case MaintenanceRequest(scope=scope, name=name):
            known = marked(state, "maintenance", scope, name)
            return None if known else f"{scope} {name} is not in maintenance"
        case ClearRequest(scope=scope, name=name):
            if marked(state, "quarantine", Scope(scope), name):
                return None
            view = state.groups.get(name) if scope == "group" else None
            return None if view and _forgiven(view) else f"nothing is held against {scope} {name}"


def _names(state: State, scope: Scope) -> set[str]:
    return {
        Scope.CLUSTER: {state.cluster.cluster.name},
        Scope.NODE: set(state.nodes),
        Scope.GROUP: set(state.groups),
    }[scope]


def _said(request: MaintenanceRequest | ClearRequest) -> OperatorRequest:
    given = {"scope": str(request.scope), "name": request.name}
    if isinstance(request, ClearRequest):
        return OperatorRequest(operator=request.operator, request="clear", arguments=given)
    if request.action == "on":
        given |= {"for": f"{request.seconds:.0f} s"} if request.seconds else {}
        given |= {"reason": request.reason}
    said = f"maintenance {request.action}"
    return OperatorRequest(operator=request.operator, request=said, arguments=given)


def _maintain(turn: Turn, request: MaintenanceRequest, root: Trail) -> None:
    if request.action == "off":
        known = marked(turn.state, "maintenance", request.scope, request.name)
        assert known is not None, "it was looked for"
        standing.drop(turn, known, root, f"{request.operator} ended it")
        return
    standing.put(
        turn,
        Mark(
            kind="maintenance",
            scope=request.scope,
            name=request.name,
            reason=request.reason,
            operator=request.operator,
            id=root.cause,
            incident=root.incident,
            left=request.seconds,
        ),
    )


def _clear(turn: Turn, request: ClearRequest, root: Trail) -> None:
    known = marked(turn.state, "quarantine", Scope(request.scope), request.name)
    if known is not None:
        standing.drop(turn, known, root, f"{request.operator} cleared it")
    view = turn.state.groups.get(request.name) if request.scope == "group" else None
    forgiven = _forgiven(view) if view else None
    if view is not None and forgiven is not None:
        write(turn, replace(view, done=root), forgiven)


def _forgiven(view: GroupView) -> OwnershipRecord | None:
    """The record without what failed before; None when it holds nothing of that, or changes now."""
    record, intent = view.record, view.record.intent
    if view.writing is not None or record.phase not in (Phase.ACTIVE, Phase.HELD):
        return None
    if intent is not None and intent.tried:
        intent = msgspec.structs.replace(intent, tried=[])
    if intent == record.intent and not record.avoid:
        return None
    return msgspec.structs.replace(record, intent=intent, avoid=[])
