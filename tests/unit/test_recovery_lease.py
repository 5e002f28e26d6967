"""Self-stop: with any votes and any delays, groups stop before the lease ends, and stay stopped.

The real voter, the real holder and the real tenure, on clocks that run at different rates.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.lease import HolderState, VoterState, answer, node_lease
from holdfast.recovery.tenure import Tenure
from holdfast.structs import replace
from holdfast.timing import PROFILES, Timing
from holdfast.wire import Claim, FencedOff, Vote

STEP = 0.05


def test_acquired_once_and_lost_ahead_of_the_end() -> None:
    tenure, change = Tenure(stop_before=1.0).advance(10.0, 5.0)
    assert (change, tenure.held, tenure.act_until) == ("acquired", True, 9.0)
    tenure, change = tenure.advance(11.0, 6.0)
    assert change is None
    same, change = tenure.advance(11.0, 9.99)
    assert change is None
    tenure, change = same.advance(11.0, 10.0)
    assert (change, tenure.held, tenure.act_until) == ("lost", False, 0.0)
    assert tenure.advance(11.0, 10.5)[1] is None
    assert tenure.advance(20.0, 10.6)[1] == "acquired"


def test_a_gap_is_seen_in_when_it_was_acquired() -> None:
    first, _ = Tenure(stop_before=1.0).advance(10.0, 5.0)
    renewed, _ = first.advance(15.0, 8.9)
    assert renewed.since == first.since == 5.0
    lost, _ = renewed.advance(15.0, 14.0)
    again, _ = lost.advance(25.0, 14.5)
    assert again.since == 14.5, "also if its real end had not come"


def test_a_restart_is_no_gap_while_the_lease_lasts() -> None:
    fresh = Tenure(stop_before=1.0)
    assert fresh.taken_up(5.0, 10.0, 8.9).since == 5.0
    ended = fresh.taken_up(5.0, 10.0, 9.0)
    assert not ended.held
    assert ended.advance(20.0, 11.0)[0].since == 11.0


def test_a_lease_taken_away_is_lost_at_once() -> None:
    tenure, _ = Tenure(stop_before=1.0).advance(10.0, 5.0)
    assert tenure.advance(0.0, 5.1)[1] == "lost"


def test_a_renewal_too_short_to_act_is_not_an_acquisition() -> None:
    assert Tenure(stop_before=1.0).advance(10.0, 9.5)[1] is None


@dataclass
class Node:
    """One node: its holder, its tenure, and whether its groups run. Its clock is the true time."""

    name: str
    timing: Timing
    holder: HolderState = field(init=False)
    tenure: Tenure = field(init=False)
    runs: bool = False
    stopped_by: float = 0.0

    def __post_init__(self) -> None:
        self.holder = HolderState(
            lease=node_lease("alpha"),
            holder=self.name,
            boot="b",
            voters=3,
            ttl=self.timing.ttl,
            margin=self.timing.margin,
        )
        self.tenure = Tenure(stop_before=self.timing.stop_before)

    def feel(self, now: float) -> None:
        """What the shell does on each vote and at each alarm."""
        self.tenure, change = self.tenure.advance(self.holder.valid_until, now)
        if change == "lost":
            # In order until the switch falls; from then on nothing is left.
            self.stopped_by = max(now, self.holder.valid_until - self.timing.kill_before)
        elif change == "acquired" and not self.runs:
            self.runs = True

    def settle(self, now: float) -> None:
        """The dead man's switch."""
        if not self.tenure.held and now >= self.stopped_by:
            self.runs = False


LINKS = st.lists(
    st.tuples(st.integers(0, 7), st.floats(0.0, 1.5), st.booleans()), min_size=40, max_size=160
)
"""Per renewal: which voters are reached (a mask), how late votes come, whether they are lost."""


@pytest.mark.parametrize("profile", sorted(PROFILES))
@settings(max_examples=60, deadline=None)
@given(links=LINKS, rates=st.lists(st.floats(0.99, 1.01), min_size=3, max_size=3))
def test_nothing_runs_when_a_takeover_succeeds(
    profile: str, links: list[tuple[int, float, bool]], rates: list[float]
) -> None:
    timing = PROFILES[profile]
    node = Node("alpha", timing)
    voters = [VoterState(name=f"v{i}", started=-100.0, max_ttl=60.0) for i in range(3)]
    voters = [replace(v, started=-1000.0) for v in voters]
    late: list[tuple[float, Vote]] = []
    now, next_ask, takeover_round = 0.0, 0.0, 0
    for mask, delay, lost in links:
        node.holder, request = node.holder.request(now)
        for i in range(3):
            if mask >> i & 1:
                got = answer(voters[i], request, now * rates[i])
                voters[i] = got.state
                if not lost:
                    late.append((now + delay, got.vote))
        next_ask += timing.renew_every
        while now < next_ask:
            # Alarms go off exactly when they are due, between the steps, too.
            if node.tenure.held and node.tenure.act_until <= now + STEP:
                node.feel(max(now, node.tenure.act_until))
            now += STEP
            for _, vote in [v for v in late if v[0] <= now]:
                node.holder = node.holder.on_vote(vote)
                node.feel(now)
            late = [v for v in late if v[0] > now]
            node.settle(now)
            assert not (node.runs and now >= node.holder.valid_until), "it outlived its lease"
        taken, takeover_round = _takeover(voters, rates, now, takeover_round, timing)
        assert not (taken and node.runs), "a takeover was granted while it ran"


def _takeover(
    voters: list[VoterState], rates: list[float], now: float, number: int, timing: Timing
) -> tuple[bool, int]:
    """Whether a majority would agree now to somebody else; what they would store is not kept."""
    term = max(v.stored(node_lease("alpha")).term for v in voters) + 1
    claim = Claim(
        lease=node_lease("alpha"), term=term, holder="", boot="", ttl=timing.ttl, round=number
    )
    granted = sum(
        answer(v, claim, now * r).vote.granted for v, r in zip(voters, rates, strict=True)
    )
    held = any(v.stored(node_lease("alpha")).holder for v in voters)
    return held and granted >= 2, number + 1


def test_a_fence_proof_takes_over_at_once_and_the_holder_hears_it() -> None:
    timing = PROFILES["fast"]
    node = Node("alpha", timing)
    voters = [VoterState(name=f"v{i}", started=-1000.0, max_ttl=60.0) for i in range(3)]

    def ask(now: float) -> None:
        node.holder, request = node.holder.request(now)
        for i, voter in enumerate(voters):
            got = answer(voter, request, now)
            voters[i] = got.state
            node.holder = node.holder.on_vote(got.vote)
        node.feel(now)

    ask(0.0)
    assert node.runs
    proof = FencedOff(node="alpha", boot="b", agent="test", event="e")
    claim = Claim(
        lease=node_lease("alpha"), term=9, holder="", boot="", ttl=2.5, round=1, proof=proof
    )
    voters[:] = [answer(v, claim, 0.1).state for v in voters]
    ask(0.2)
    node.settle(0.2)
    assert not node.tenure.held
    assert not node.runs, "the switch falls at once: the lease was taken away"
