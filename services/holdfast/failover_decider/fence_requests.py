"""An operator's signed word about a node: rules `operator_confirm` and `operator_allow`.

The event holds what was signed and the signature, so the record proves it. A word is known only to
the leader that was told: after a change of leader it is said again, by somebody who looks again.

`confirm` is a fence proof. It counts only for a boot that has been silent for a ttl, and a majority
must take its lease away all the same: an operator who is wrong about a node that lives is refused.
"""

from holdfast.events.fields import node_entity
from holdfast.events.ownership import DecisionRefused
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider import fencing
from holdfast.failover_decider.messages import Answer, FenceAsked
from holdfast.failover_decider.restraint import restraint
from holdfast.failover_decider.state import NodeView
from holdfast.failover_decider.turn import Turn
from holdfast.signed_word import text
from holdfast.structs import replace
from holdfast.wire import Begun, FenceRequest, LeaseExpired, OperatorWord, Refused


def on_fence_asked(turn: Turn, asked: FenceAsked) -> None:
    """Take an operator's word, or say why it is not taken."""
    request = asked.request
    view = turn.state.nodes.get(request.node)
    if not turn.state.leading or view is None:
        unknown = f"there is no node {request.node} in the cluster file"
        reason = unknown if turn.state.leading else "this decider leads no more: ask again"
        turn.do(Answer(asked.number, Refused(reason=reason)))
        return
    root = turn.emit(
        OperatorRequest(
            operator=request.operator,
            request=f"fence {request.action}",
            arguments={"node": request.node, "boot": request.boot, "key": request.key},
            signed=text(request, turn.state.cluster.cluster.name),
            signature=request.signature,
        ),
        node_entity(request.node),
    )
    reason = _against(turn, view, request)
    if reason:
        rule = f"operator_{request.action}"
        refused = DecisionRefused(group=None, node=view.node, rule=rule, reason=reason)
        turn.emit(refused, node_entity(view.node), root)
        turn.do(Answer(asked.number, Refused(reason=reason)))
        return
    assert view.suspicion is not None
    if request.action == "allow":
        turn.set_suspicion(view.node, replace(view.suspicion, allowed=True))
    else:
        proof = OperatorWord(
            node=view.node,
            boot=request.boot,
            operator=request.operator,
            key=request.key,
            event=root.cause,
        )
        turn.set_suspicion(view.node, replace(view.suspicion, proof=proof, proof_trail=root))
    turn.do(Answer(asked.number, Begun(incident=root.incident, target=None)))
    fencing.on_tick(turn)


def _against(turn: Turn, view: NodeView, request: FenceRequest) -> str:
    """Why the word does not count; empty if it does."""
    suspicion = view.suspicion
    if request.boot != view.boot:
        return f"the word is about boot {request.boot}, known is {view.boot or 'none'}"
    if suspicion is None:
        return "nothing is held against it: it is heard"
    if suspicion.proof is not None and not isinstance(suspicion.proof, LeaseExpired):
        return "it is proven off already"
    if request.action == "allow":
        held = fencing.wanted_off(turn.state, view.node) and restraint(turn.state, view, turn.now)
        return "" if held else "no order to switch it off is held back"
    silent = turn.now - view.heard
    if suspicion.hands_only or silent < turn.state.timing.ttl:
        return (
            f"its last pulse came {silent:.1f} s ago: switch it off first, and confirm when it has "
            f"been silent for {turn.state.timing.ttl:g} s"
        )
    return ""
