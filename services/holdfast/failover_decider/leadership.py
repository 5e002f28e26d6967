"""Which decider leads: the same lease as everybody's, under the name `decider`.

Candidates stand in the order of the configured voters, a moment apart, so that they rarely split
the vote. Nobody waits for a leader whose host is proven dead: the proof opens the lease.
"""

from holdfast.events.fields import service_entity
from holdfast.events.ownership import LeaderElected, LeaderLost
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider import standing
from holdfast.failover_decider.messages import AskVoters, LeaderSeen, PrepareStreams
from holdfast.failover_decider.state import GroupView, Redundancy, State, Suspicion, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.structs import replace
from holdfast.wire import FencedOff, LeadRequest, Vote

STAND_APART = 0.4
"""Seconds between two candidates' attempts."""
SUCCESSOR_HEADSTART = 2.0
"""Seconds for which everybody else leaves a hand-over to the successor."""
GIVE_UP = 1.0
"""Seconds after which a candidate without a majority frees the votes it has."""
RENEWALS_PER_TTL = 6


def votes(state: State) -> bool:
    """Whether this place has a vote. One without never leads, and looks into nothing by itself."""
    return state.place in state.cluster.cluster.voters


def rank(state: State) -> int:
    """This candidate's place in the order of standing, the leader that is gone not counted."""
    gone = state.leader if state.leader != state.place else ""
    return [voter for voter in state.cluster.cluster.voters if voter != gone].index(state.place)


def on_leader_seen(turn: Turn, seen: LeaderSeen) -> None:
    """Our own voter promised, stored or released something of the leadership lease."""
    state = turn.state
    stand_at = seen.promised_until
    if seen.successor and seen.successor != state.place:
        stand_at = turn.now + SUCCESSOR_HEADSTART
    known = max(state.leadership.highest_seen, seen.term.term)
    turn.state = replace(
        state,
        leadership=replace(state.leadership, highest_seen=known),
        leader=seen.term.holder,
        leader_boot=seen.term.boot,
        stand_at=stand_at,
    )


def on_vote(turn: Turn, vote: Vote) -> None:
    """Count a vote for our leadership. One that teaches a higher term is heeded at once."""
    before = turn.state.leadership
    turn.state = replace(turn.state, leadership=before.on_vote(vote))
    if turn.state.leadership.highest_seen > before.highest_seen:
        turn.state = replace(turn.state, next_renewal=turn.now)
    if not turn.state.leading and turn.state.leadership.valid(turn.now):
        _take_up(turn)
    if turn.state.leading and not turn.state.leadership.valid(turn.now):
        step_down(turn, "a majority of voters agreed to somebody else")


def on_tick(turn: Turn) -> None:
    """Renew, make room for another leader, or stand."""
    state = turn.state
    if state.leading and _own_hands_gone(state, turn.now):
        _make_room(turn)
    if turn.now < turn.state.next_renewal:
        return
    if not turn.state.leading and turn.state.standing_since and _gives_up(turn):
        _withdraw(turn)
    elif turn.state.leading or turn.state.standing_since or _may_stand(turn):
        _ask(turn)


def check(turn: Turn) -> None:
    """Notice, before anything else is done, that our lease has run out.

    After a pause the first thing that happens may be an answer to what we asked when we still led.
    """
    if turn.state.leading and not turn.state.leadership.valid(turn.now):
        step_down(turn, "the leadership lease was not renewed in time")


def step_down(turn: Turn, reason: str, after: Trail | None = None) -> None:
    """Stop deciding. What is under way is in the records, for the next leader."""
    state = turn.state
    term = max(state.leadership.term, state.leadership.highest_seen)
    turn.emit(
        LeaderLost(leader=state.place, term=term, reason=reason),
        service_entity(state.place, "failover_decider"),
        after or state.election,
    )
    _stop_leading(turn)


def on_recording(turn: Turn, possible: bool) -> None:
    """Without a record there is no leading: leave it to a decider whose disk is well.

    Nor is there any suspecting: what rests on an event that is not on the record would be an action
    without a cause. So what was noted of the nodes is forgotten, and found anew.
    """
    turn.state = replace(turn.state, recording=possible)
    for view in turn.state.nodes.values():
        turn.set_node(replace(view, seen=None, suspicion=None, revocation=None, revoked=None))
    if possible:
        return
    if turn.state.leading:
        _stop_leading(turn)
    if turn.state.leadership.rounds:
        # Also of a candidate: a vote that is still under way must not make it lead.
        leadership, release = turn.state.leadership.release()
        turn.state = replace(turn.state, leadership=leadership, standing_since=0.0)
        turn.do(AskVoters(release))


def _stop_leading(turn: Turn) -> None:
    turn.state = standing.stop_leading(
        replace(
            turn.state,
            leading=False,
            election=None,
            silent_voters={},
            silent_monitors={},
            redundancy=Redundancy(),
        )
    )
    for view in turn.state.groups.values():
        turn.set_group(
            GroupView(
                view.group,
                view.record,
                view.revision,
                spoiled=view.spoiled,
                moved_at=view.moved_at,
            )
        )


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
    deposed = _deposed(state)
    term = state.leadership.term
    elected = turn.emit(
        LeaderElected(
            leader=state.place,
            term=term,
            votes=sorted(state.leadership.granted),
            proof="its host is proven off" if deposed else "the lease was free",
        ),
        service_entity(state.place, "failover_decider"),
        deposed.proof_trail if deposed else None,
    )
    turn.do(PrepareStreams())
    turn.state = replace(
        state, leading=True, leading_since=turn.now, standing_since=0.0, election=elected
    )


def _own_hands_gone(state: State, now: float) -> bool:
    """Whether the host we run on must be switched off, which only another place can do.

    It owns a group, and the hands that could stop it are silent beyond their lease.
    """
    here = state.nodes.get(state.place)
    if here is None or now - max(here.hands_heard, state.started) < state.timing.ttl:
        return False
    return any(
        view.record.owner == here.node and view.record.boot == here.boot
        for view in state.groups.values()
    )


def _make_room(turn: Turn) -> None:
    """Leave the lead to a decider that can fence this host."""
    step_down(turn, "the hands of its own host are silent beyond their lease")
    leadership, release = turn.state.leadership.release()
    turn.do(AskVoters(release))
    turn.state = replace(turn.state, leadership=leadership, standing_since=0.0)


def _may_stand(turn: Turn) -> bool:
    state = turn.state
    if not (votes(state) and state.recording):
        return False
    suspicion = _deposed(state)
    free_at = suspicion.raised if suspicion else max(state.stand_at, state.started)
    due = turn.now >= free_at + rank(state) * STAND_APART
    return due and not _own_hands_gone(state, turn.now)


def _gives_up(turn: Turn) -> bool:
    return turn.now >= turn.state.standing_since + GIVE_UP


def _withdraw(turn: Turn) -> None:
    """No majority: free the votes we got, or two candidates could block each other for ever."""
    leadership, release = turn.state.leadership.release()
    turn.do(AskVoters(release))
    turn.state = replace(
        turn.state,
        leadership=leadership,
        standing_since=0.0,
        next_renewal=turn.now + STAND_APART * (1 + rank(turn.state)),
    )


def _ask(turn: Turn) -> None:
    state = turn.state
    deposed = _deposed(state)
    proof = deposed.proof if deposed else None
    leadership, request = state.leadership.request(
        turn.now, proof if isinstance(proof, FencedOff) else None
    )
    turn.do(AskVoters(request))
    pause = state.timing.leader_ttl / RENEWALS_PER_TTL
    turn.state = replace(
        state,
        leadership=leadership,
        next_renewal=turn.now + pause,
        standing_since=0.0 if state.leading else state.standing_since or turn.now,
    )


def _deposed(state: State) -> Suspicion | None:
    """The suspicion, proven, of the leader's host.

    Our own voter names ourselves as the leader once we claimed; other voters, which may still know
    the old one, need the proof all the same. They check whom it is about.
    """
    for view in state.nodes.values():
        suspicion = view.suspicion
        if suspicion is not None and isinstance(suspicion.proof, FencedOff):
            if view.node == state.leader and view.boot == state.leader_boot:
                return suspicion
            if state.leader == state.place and not state.leading:
                return suspicion
    return None
