"""Which decider leads: the same lease as everybody's, under the name `decider`.

Candidates stand in the order of the configured voters, a moment apart, so that they rarely split
the vote. Nobody waits for a leader whose host is proven dead: the proof opens the lease.
"""

from dataclasses import replace

from holdfast.events.fields import service_entity
from holdfast.events.ownership import LeaderElected, LeaderLost
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider.messages import AskVoters, LeaderSeen, PrepareStreams
from holdfast.failover_decider.state import State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.wire import FencedOff, LeadRequest, Vote

STAND_APART = 0.4
"""Seconds between two candidates' attempts."""
SUCCESSOR_HEADSTART = 2.0
"""Seconds for which everybody else leaves a hand-over to the successor."""
RENEWALS_PER_TTL = 6


def rank(state: State) -> int:
    """This candidate's place in the order of standing, the leader that is gone not counted."""
    voters = [voter for voter in state.cluster.cluster.voters if voter != state.leader]
    return voters.index(state.place) if state.place in voters else len(voters)


def on_leader_seen(turn: Turn, seen: LeaderSeen) -> None:
    """Our own voter promised, stored or released something of the leadership lease."""
    state = turn.state
    stand_at = seen.promised_until
    if seen.successor and seen.successor != state.place:
        stand_at = turn.now + SUCCESSOR_HEADSTART
    turn.state = replace(
        state,
        leader=seen.term.holder,
        leader_boot=seen.term.boot,
        leader_until=seen.promised_until,
        stand_at=stand_at,
    )


def on_vote(turn: Turn, vote: Vote) -> None:
    """Count a vote for our leadership."""
    turn.state = replace(turn.state, leadership=turn.state.leadership.on_vote(vote))
    if not turn.state.leading and turn.state.leadership.valid(turn.now):
        _take_up(turn)


def on_tick(turn: Turn) -> None:
    """Renew, notice that we no longer lead, or stand."""
    state = turn.state
    if state.leading and not state.leadership.valid(turn.now):
        step_down(turn, "the leadership lease was not renewed in time")
    if turn.now < turn.state.next_renewal:
        return
    if turn.state.leading or _may_stand(turn):
        _ask(turn)


def step_down(turn: Turn, reason: str, after: Trail | None = None) -> None:
    """Stop deciding. What is under way is in the records, for the next leader."""
    state = turn.state
    term = max(state.leadership.term, state.leadership.highest_seen)
    turn.emit(
        LeaderLost(leader=state.place, term=term, reason=reason),
        service_entity(state.place, "failover_decider"),
        after or state.election,
    )
    turn.state = replace(turn.state, leading=False, election=None)


def on_lead_asked(turn: Turn, request: LeadRequest) -> None:
    """Hand the leadership to another place, at an operator's word."""
    state = turn.state
    if not state.leading or request.place == state.place:
        return
    asked = turn.emit(
        OperatorRequest(
            operator=request.operator, request="lead", arguments={"place": request.place}
        ),
        service_entity(state.place, "failover_decider"),
    )
    step_down(turn, f"handed over to {request.place}", asked)
    leadership, release = turn.state.leadership.release(successor=request.place)
    turn.do(AskVoters(release))
    turn.state = replace(turn.state, leadership=leadership, stand_at=turn.now + SUCCESSOR_HEADSTART)


def _take_up(turn: Turn) -> None:
    state = turn.state
    granted = max(state.leadership.rounds.items())[1].granted
    proof = proof_against_leader(state)
    suspicion = _suspicion_of_leader(state)
    term = state.leadership.term
    elected = turn.emit(
        LeaderElected(
            leader=state.place,
            term=term,
            votes=sorted(granted),
            proof=f"{proof.node} was fenced off" if proof else "the lease was free",
        ),
        service_entity(state.place, "failover_decider"),
        suspicion,
    )
    turn.do(PrepareStreams())
    turn.state = replace(state, leading=True, leading_since=turn.now, election=elected)


def _may_stand(turn: Turn) -> bool:
    state = turn.state
    wait = rank(state) * STAND_APART
    if proof_against_leader(state) is not None:
        suspicion = state.nodes[state.leader].suspicion
        return suspicion is not None and turn.now >= suspicion.raised + wait
    return turn.now >= max(state.stand_at, state.started) + wait


def _ask(turn: Turn) -> None:
    state = turn.state
    leadership, request = state.leadership.request(turn.now, proof_against_leader(state))
    turn.do(AskVoters(request))
    pause = state.timing.leader_ttl / RENEWALS_PER_TTL
    turn.state = replace(state, leadership=leadership, next_renewal=turn.now + pause)


def proof_against_leader(state: State) -> FencedOff | None:
    """The proof that the host of the leader we last knew is off, if we have one."""
    view = state.nodes.get(state.leader)
    if state.leading or view is None or view.suspicion is None:
        return None
    proof = view.suspicion.proof
    return proof if isinstance(proof, FencedOff) and proof.boot == state.leader_boot else None


def _suspicion_of_leader(state: State) -> Trail | None:
    view = state.nodes.get(state.leader)
    if view is None or view.suspicion is None:
        return None
    return view.suspicion.proof_trail or view.suspicion.trail
