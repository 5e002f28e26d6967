"""From suspicion to proof: when fence devices are asked, and what their answers are worth.

Four things prove that a boot of a node is over: fence devices that report `off`, an armed watchdog
(`watchdog.py`), an operator's signed word (`fence_requests.py`), and, in a cluster configured
`lease-only`, a majority whose promises to it have run out. A time-out, an error or an `on` proves
nothing.
"""

from typing import Literal

from holdfast.events.fields import node_entity
from holdfast.events.ownership import FenceFinished, FenceStarted, LeaseRevoked
from holdfast.failover_decider import fence_answers, proofs, watchdog
from holdfast.failover_decider.liveness import must_act
from holdfast.failover_decider.messages import AskVoters, FenceDone, RunFence
from holdfast.failover_decider.patience import pausing
from holdfast.failover_decider.restraint import restraint
from holdfast.failover_decider.state import (
    Fencing,
    NodeView,
    State,
    Suspicion,
    Trail,
    revocation,
)
from holdfast.failover_decider.turn import Turn
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace
from holdfast.wire import FencedOff, LeaseExpired, Proof, Vote

REVOKE_AGAIN = 0.5
RUNS_PER_DEVICE = 3
"""Off, and two looks."""
STOP_FAILED = "a stop failed there, and there is no fence device to end what runs"


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
    return bool(_to_be_fenced(state, node))


def _to_be_fenced(state: State, node: str) -> list[OwnershipRecord]:
    """The records that say so, of which this leader knows that they are the latest."""
    return [
        view.record
        for view in state.groups.values()
        if view.record.phase == Phase.FENCING
        and view.confirmed
        and view.writing is None
        and view.record.owner == node
        and view.record.boot == state.nodes[node].boot
    ]


def on_fence_done(turn: Turn, done: FenceDone) -> None:
    """A fence agent answered. Success is `off`, seen, of a node that is silent, too."""
    view = turn.state.nodes[done.node]
    suspicion = view.suspicion
    if view.boot != done.boot or suspicion is None or suspicion.fencing is None:
        return
    if suspicion.fencing.action != done.action:
        return  # it was heard before, and what followed from it is under way
    finished = turn.emit(
        FenceFinished(
            node=done.node,
            boot=done.boot,
            action=done.action,
            agent=done.agent,
            outcome=done.outcome,
            detail=done.detail,
            took=done.took,
            devices=list(done.devices),
        ),
        node_entity(done.node),
        suspicion.fencing.started,
    )
    if done.outcome == "off":
        fence_answers.on_off(turn, view, suspicion, done, finished)
    else:
        answer = f"{done.action}: {done.detail}"
        suspicion = replace(suspicion, fencing=None, last_answer=answer)
        suspicion = pausing(turn.state, suspicion, done.action, turn.now)
        turn.set_suspicion(done.node, suspicion)
    on_tick(turn)


def on_vote(turn: Turn, vote: Vote) -> None:
    """Count a vote on taking a dead node's lease away."""
    for view in turn.state.nodes.values():
        if view.revocation is None or view.revocation.lease != vote.stored.lease:
            continue
        counted = view.revocation.on_vote(vote)
        turn.set_node(replace(view, revocation=counted))
        if counted.valid(turn.now) and view.revoked is None and view.proof is not None:
            _revoked(turn, turn.node(view.node))


def stands(state: State, run: RunFence, now: float) -> bool:
    """Whether a fence order is still to be carried out: this boot, this leader, in time (I6)."""
    view = state.nodes[run.node]
    fencing = view.suspicion.fencing if view.suspicion else None
    ours = view.boot == run.boot and fencing is not None and fencing.action == run.action
    leads = run.action == "status" or (state.leading and state.leadership.valid(now))
    return ours and leads and now < run.not_after


def _seek_proof(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    state = turn.state
    if suspicion.fencing is not None:
        return
    if suspicion.said_off is not None:
        fence_answers.believe(turn, view, suspicion)
        return
    devices = state.cluster.nodes[view.node].fence
    wanted = state.leading and wanted_off(state, view.node)
    if wanted and (suspicion.failures or not devices):
        proof = watchdog.expired(state, view, turn.now)
        if proof is not None:
            _proven(turn, view.node, suspicion, proof)
            return
    if devices:
        off = wanted and not restraint(state, view, turn.now)
        if turn.now >= (suspicion.next_fence if off else suspicion.next_look):
            _run(turn, view, suspicion, "off" if off else "status")
    elif wanted and not suspicion.hands_only:
        _without_device(turn, view, suspicion)


def _without_device(turn: Turn, view: NodeView, suspicion: Suspicion) -> None:
    """Silence alone is a proof only where the cluster file says so in words, and no stop failed."""
    lease_only = turn.state.cluster.cluster.fencing == "lease-only"
    if lease_only and not all(map(proofs.stop_failed, _to_be_fenced(turn.state, view.node))):
        assert view.boot is not None
        _proven(turn, view.node, suspicion, LeaseExpired(node=view.node, boot=view.boot))
    elif not suspicion.failures:
        why = STOP_FAILED if lease_only else watchdog.unproven(view)
        unproven = replace(suspicion, failures=1, last_answer=why)
        turn.set_suspicion(view.node, unproven)


def _proven(turn: Turn, node: str, suspicion: Suspicion, proof: Proof) -> None:
    turn.set_suspicion(node, replace(suspicion, proof=proof, proof_trail=suspicion.trail))


def _run(
    turn: Turn, view: NodeView, suspicion: Suspicion, action: Literal["status", "off"]
) -> None:
    assert view.boot is not None
    assert suspicion.fencing is None, "one fence run per target"
    devices = turn.state.cluster.nodes[view.node].fence
    agents = ", ".join(device.agent for device in devices)[:200]
    lasts = sum(device.timeout for device in devices) * RUNS_PER_DEVICE
    started = turn.emit(
        FenceStarted(node=view.node, boot=view.boot, action=action, agent=agents, expires_in=lasts),
        node_entity(view.node),
        _cause(turn.state, view, suspicion, action),
    )
    turn.set_suspicion(
        view.node,
        replace(suspicion, fencing=Fencing(action=action, started=started)),
    )
    if action == "off":
        times = {**turn.state.switched_off, view.node: turn.now}
        turn.state = replace(turn.state, switched_off=times)
    turn.do(RunFence(node=view.node, boot=view.boot, action=action, not_after=turn.now + lasts))


def _cause(state: State, view: NodeView, suspicion: Suspicion, action: str) -> Trail:
    """`off` follows from the decision whose intent is stored; `status` from the suspicion."""
    if action == "off":
        for record in _to_be_fenced(state, view.node):
            if record.intent is not None:
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
            proof=proofs.kind(suspicion.proof),
            proof_detail=proofs.detail(suspicion.proof, turn.state.timing.ttl),
        ),
        node_entity(view.node),
        suspicion.proof_trail,
    )
    turn.set_node(replace(view, revoked=trail))
