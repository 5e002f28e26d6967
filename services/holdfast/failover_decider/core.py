"""The decider as one pure function: what it knows and what happened, in; what follows, out.

`decide` reads no clock, draws no random number and does no I/O: time and fresh ids are arguments.
The simulator runs it, an audit replays it.

Priorities within a step are the order of the calls below: who leads, who is alive, who is proven
dead, then what each group needs.
"""

from typing import assert_never

from holdfast.failover_decider import (
    damping,
    fence_requests,
    fencing,
    leadership,
    liveness,
    lost_records,
    monitors,
    moves,
    ordering_phase,
    quorum,
    redundancy,
    requests,
    spoiled,
    standing,
    standing_requests,
    suspending,
    watchdog,
    writing,
)
from holdfast.failover_decider.messages import (
    BucketsChecked,
    Effect,
    FenceAsked,
    FenceDone,
    GroupAsked,
    Input,
    LeadAsked,
    LeaderSeen,
    OrderAnswered,
    PulseHeard,
    Recording,
    RecordSeen,
    RecordsLoaded,
    RecordSpoiled,
    StandingAsked,
    StandingSeen,
    StandingWritten,
    Tick,
    VoteReceived,
    Windows,
    WriteDone,
)
from holdfast.failover_decider.state import State
from holdfast.failover_decider.turn import Turn
from holdfast.ids import Mint


def decide(state: State, happened: Input, now: float, mint: Mint) -> tuple[State, list[Effect]]:
    """One step. `now` is this place's monotonic time in seconds and never goes back."""
    turn = Turn(state, now, mint)
    leadership.check(turn)
    _take_in(turn, happened)
    if turn.state.leading:
        _advance_groups(turn)
    return turn.state, turn.effects


def _advance_groups(turn: Turn) -> None:
    """Let every group do what its phase calls for, until none has anything more to do.

    What a later group does may make room for an earlier one, so one round is not always enough.
    The rounds are bounded; what is left over then, the next input sees.
    """
    for _ in range(len(turn.state.groups) + 1):
        before = turn.state
        for group in before.groups:
            moves.advance(turn, group)
        if turn.state is before:
            return


def _take_in(turn: Turn, happened: Input) -> None:
    match happened:  # what happens most often first
        case PulseHeard():
            liveness.on_pulse(turn, happened.pulse)
        case Tick():
            leadership.on_tick(turn)
            liveness.on_tick(turn)
            watchdog.on_tick(turn)
            fencing.on_tick(turn)
            if turn.state.leading:
                quorum.on_tick(turn)
                monitors.on_tick(turn)
                standing.on_tick(turn)
                suspending.on_tick(turn)
                damping.on_tick(turn)
                redundancy.on_tick(turn)
        case VoteReceived(vote):
            quorum.on_vote(turn, vote)
            leadership.on_vote(turn, vote)
            fencing.on_vote(turn, vote)
        case LeaderSeen():
            leadership.on_leader_seen(turn, happened)
        case RecordSeen():
            writing.on_record_seen(turn, happened)
        case RecordSpoiled():
            spoiled.on_record_spoiled(turn, happened)
        case RecordsLoaded():
            turn.records_loaded()
        case BucketsChecked(problem):
            lost_records.on_buckets_checked(turn, problem)
        case WriteDone():
            writing.on_write_done(turn, happened)
        case FenceDone():
            fencing.on_fence_done(turn, happened)
        case OrderAnswered():
            ordering_phase.on_order_answered(turn, happened)
        case FenceAsked():
            fence_requests.on_fence_asked(turn, happened)
        case GroupAsked():
            requests.on_group_asked(turn, happened)
        case StandingAsked():
            standing_requests.on_standing_asked(turn, happened)
        case StandingSeen():
            standing.on_seen(turn, happened)
        case StandingWritten():
            standing.on_written(turn, happened)
            suspending.on_tick(turn)
        case Windows(open_now):
            turn.set_windows(open_now)
        case Recording(possible):
            leadership.on_recording(turn, possible)
        case LeadAsked(request):
            leadership.on_lead_asked(turn, request)
        case _:
            assert_never(happened)
