"""From suspicion to proof: when fence devices are asked, and what their answers are worth.

Only two things prove that a boot of a node is over: a fence agent that reports `off`, and, in a
cluster configured `lease-only`, a majority whose promises to it have run out. A time-out, an error
or an `on` proves nothing.
"""

from typing import Literal

from holdfast.events.fields import node_entity
from holdfast.events.ownership import FenceFinished, FenceStarted, LeaseRevoked
from holdfast.failover_decider.liveness import must_act
from holdfast.failover_decider.messages import AskVoters, FenceDone, RunFence
from holdfast.failover_decider.state import (
    Fencing,
    NodeView,
    State,
    Suspicion,
    Trail,
    revocation,
)
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import Phase
from holdfast.structs import replace
from holdfast.wire import FencedOff, LeaseExpired, Vote

ASK_AGAIN = 1.0
"""Seconds between two questions to a fence device for a node's status."""
MAX_BACKOFF = 60.0
REVOKE_AGAIN = 0.5


def on_tick(turn: Turn) -> None:
    """Ask, fence, revoke: whatever is due for each suspected node."""
    for name, view in turn.state.nodes.items():
        suspicion = view.suspicion
        if suspicion is None or not must_act(turn.state, view, turn.now):
            continue
        if suspicion.proof is None:
            _seek_proof(turn, view, suspicion)
        elif turn.state.leading and view.revoked is None:
            _revoke(turn, turn.node(name))


def wanted_off(state: State, node: str) -> bool:
    """Whether a stored intent calls for this node to be fenced: I9, stored before it is done."""
    return any(
        view.record.phase == Phase.FENCING
        and view.record.owner == node
        and view.record.boot == state.nodes[node].boot
        for view in state.groups.values()
    )


def silent_past_ttl(state: State, suspicion: Suspicion, now: float) -> bool:
    """Whether a node has been silent so long that its lease must have run out."""
    return now - suspicion.since >= state.timing.ttl


def on_fence_done(turn: Turn, done: FenceDone) -> None:
    """A fence agent answered. Success is `off`, seen; everything else leaves the node alive."""
    view = turn.state.nodes[done.node]
    suspicion = view.suspicion
    if view.boot != done.boot or suspicion is None or suspicion.fencing is None:
        return
    finished = turn.emit(
        FenceFinished(
            node=done.node,
            boot=done.boot,
            action=done.action,
            agent=done.agent,
            outcome=done.outcome,
            detail=done.detail,
            took=done.took,
        ),
        node_entity(done.node),
        suspicion.fencing.started,
    )
    if done.outcome == "off":
        proof = FencedOff(node=done.node, boot=done.boot, agent=done.agent, event=finished.cause)
        suspicion = replace(suspicion, fencing=None, proof=proof, proof_trail=finished)
    else:
        failures = suspicion.failures + (done.action == "off")
        pause = min(ASK_AGAIN * 2**failures, MAX_BACKOFF)
        suspicion = replace(
            suspicion,
            fencing=None,
            failures=failures,
            last_answer=f"{done.action}: {done.detail}",
            next_fence=turn.now + pause,
        )
    turn.set_suspicion(done.node, suspicion)
    on_tick(turn)


def on_vote(turn: Turn, vote: Vote) -> None:
    """Count a vote on taking a dead node's lease away."""
    for view in turn.state.nodes.values():
        if view.revocation is None or view.revocation.lease != vote.stored.lease:
            continue
        counted = view.revocation.on_vote(vote)
        turn.set_node(replace(view, revocation=counted))
        proven = view.suspicion is not None and view.suspicion.proof is not None
        if counted.valid(turn.now) and view.revoked is None and proven:
            _revoked(turn, turn.node(view.node))


def _seek_proof(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    state = turn.state
    if suspicion.fencing is not None or turn.now < suspicion.next_fence:
        return
    if state.cluster.nodes[view.node].fence:
        off = state.leading and wanted_off(state, view.node)
        _run(turn, view, suspicion, "off" if off else "status")
    elif wanted_off(state, view.node) and not suspicion.hands_only:
        # Without a fence device the cluster is configured lease-only, or `config` had refused it.
        assert view.boot is not None
        proof = LeaseExpired(node=view.node, boot=view.boot)
        turn.set_suspicion(view.node, replace(suspicion, proof=proof, proof_trail=suspicion.trail))


def _run(
    turn: Turn, view: NodeView, suspicion: Suspicion, action: Literal["status", "off"]
) -> None:
    assert view.boot is not None
    assert suspicion.fencing is None, "one fence run per target"
    agents = ", ".join(device.agent for device in turn.state.cluster.nodes[view.node].fence)
    started = turn.emit(
        FenceStarted(node=view.node, boot=view.boot, action=action, agent=agents),
        node_entity(view.node),
        _cause(turn.state, view, suspicion, action),
    )
    turn.set_suspicion(
        view.node,
        replace(suspicion, fencing=Fencing(action=action, started=started)),
    )
    turn.do(RunFence(node=view.node, boot=view.boot, action=action))


def _cause(state: State, view: NodeView, suspicion: Suspicion, action: str) -> Trail:
    """`off` follows from the decision whose intent is stored; `status` from the suspicion."""
    if action == "off":
        for group in state.groups.values():
            record = group.record
            if record.phase == Phase.FENCING and record.owner == view.node and record.intent:
                return Trail(record.intent.incident, record.intent.cause)
    return suspicion.trail


def _revoke(turn: Turn, view: NodeView) -> None:
    assert view.suspicion is not None
    counting = view.revocation or revocation(turn.state, view.node)
    newest = max(counting.rounds.values(), key=lambda r: r.asked_at, default=None)
    if newest is not None and turn.now < newest.asked_at + REVOKE_AGAIN:
        return
    proof = view.suspicion.proof
    counting, request = counting.request(turn.now, proof if isinstance(proof, FencedOff) else None)
    turn.set_node(replace(view, revocation=counting))
    turn.do(AskVoters(request))


def _revoked(turn: Turn, view: NodeView) -> None:
    suspicion, counting = view.suspicion, view.revocation
    assert suspicion is not None
    assert suspicion.proof is not None
    assert counting is not None
    assert view.boot is not None
    trail = turn.emit(
        LeaseRevoked(
            node=view.node,
            boot=view.boot,
            term=counting.term,
            votes=sorted(counting.granted),
            proof="fenced_off" if isinstance(suspicion.proof, FencedOff) else "lease_expired",
            proof_detail=_detail(suspicion.proof, turn.state),
        ),
        node_entity(view.node),
        suspicion.proof_trail,
    )
    turn.set_node(replace(view, revoked=trail))


def _detail(proof: FencedOff | LeaseExpired, state: State) -> str:
    match proof:
        case FencedOff():
            return f"{proof.agent} reports it off"
        case LeaseExpired():
            return (
                f"lease-only: a majority has heard nothing from it for {state.timing.ttl} s, "
                "and nothing but its own self-stop says that it is down"
            )
