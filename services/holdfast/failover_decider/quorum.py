"""Whether the voters still answer: a quorum that is one loss from its end must not go unnoticed.

The leader hears every voter with each renewal of its lease. A silent one moves nothing; it is a
signal. Voters on a host that is suspected as a whole are left to `liveness`.
"""

from holdfast.events.fields import Health, Layer, service_entity
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.state import State, Trail
from holdfast.failover_decider.turn import Turn
from holdfast.lease import LEADER_LEASE
from holdfast.structs import replace
from holdfast.wire import Vote


def on_vote(turn: Turn, vote: Vote) -> None:
    """A voter answered, whatever it answered."""
    state = turn.state
    if vote.stored.lease != LEADER_LEASE or vote.voter not in state.cluster.cluster.voters:
        return
    silent = {voter: trail for voter, trail in state.silent_voters.items() if voter != vote.voter}
    turn.state = replace(
        state, voters_heard={**state.voters_heard, vote.voter: turn.now}, silent_voters=silent
    )
    if vote.voter in state.silent_voters and state.leading:
        _signal(turn, vote.voter, Health.OK, "it votes again", state.silent_voters[vote.voter])


def on_tick(turn: Turn) -> None:
    """Say, once, which voter has fallen silent. Leaders only: nobody else asks them often."""
    state = turn.state
    for voter in state.cluster.cluster.voters:
        since = max(state.voters_heard.get(voter, 0.0), state.leading_since)
        silent = turn.now - since
        if voter in state.silent_voters or silent < 2 * state.timing.suspect_after:
            continue
        if _on_suspected_host(state, voter):
            continue
        reason = f"no vote for {silent:.1f} s: fewer further losses leave a majority"
        trail = _signal(turn, voter, Health.FAILED, reason, None)
        silenced = {**turn.state.silent_voters, voter: trail}
        turn.state = replace(turn.state, silent_voters=silenced)


def _on_suspected_host(state: State, voter: str) -> bool:
    view = state.nodes.get(voter)
    return view is not None and (view.suspicion is not None or view.revoked is not None)


def _signal(turn: Turn, voter: str, health: Health, reason: str, after: Trail | None) -> Trail:
    failed = health is Health.FAILED
    return turn.emit(
        HealthSignal(
            layer=Layer.NETWORK,
            node=voter,
            observer=turn.state.place,
            probe="vote",
            state=health,
            previous=Health.OK if failed else Health.FAILED,
            reason=reason,
        ),
        service_entity(voter, "failover_decider"),
        after,
    )
