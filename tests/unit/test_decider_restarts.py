"""Deciders that start, or begin to lead, after the owner is gone: they never heard it."""

import pytest

from holdfast.events import Health
from holdfast.events.health import HealthSignal, NodeSeen
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    FenceStarted,
    LeaderLost,
    MoveCompleted,
)
from holdfast.failover_decider.messages import RecordSeen, VoteReceived
from holdfast.lease import LEADER_LEASE
from holdfast.ownership import Phase
from holdfast.wire import LeaseTerm, Vote
from tests.support.decider_world import DELAY, TIMING, World, cluster


@pytest.fixture
def world() -> World:
    """A cluster whose group runs on alpha, led by alpha."""
    world = World(cluster())
    world.run(5.0)
    assert world.record().owner == "alpha"
    return world


def restart_the_others(world: World) -> None:
    for name in ("beta", "gamma"):
        world.start_decider(name)


def test_a_leader_that_never_heard_the_dead_owner_fails_it_over(world: World) -> None:
    world.kill("alpha")
    world.run(0.1)
    restart_the_others(world)
    world.run(12.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert world.emitted(MoveCompleted)[-1].kind == "failover"


def test_a_leader_that_dies_while_fencing_is_succeeded_by_one_that_never_heard_the_owner(
    world: World,
) -> None:
    world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")
    world.kill("alpha")
    world.run(TIMING.ttl + 2.0)
    assert world.record().phase == Phase.FENCING
    world.run(0.1)
    restart_the_others(world)
    del world.fence_says["alpha"]
    world.run(20.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert world.record().epoch == 2


def test_an_owner_that_beats_is_left_alone_by_leaders_that_just_started(world: World) -> None:
    before = world.now
    for name in ("alpha", "beta", "gamma"):
        world.start_decider(name)
    world.run(20.0)
    assert world.record().epoch == 1
    assert not world.emitted(DecisionMade, since=before)


def test_only_what_is_heard_is_greeted(world: World) -> None:
    lost = world.now
    world.kill("alpha")
    world.run(12.0)
    seen = world.emitted(NodeSeen, since=lost)
    assert [one.node for one in seen] == ["beta"]
    healthy = [s for s in world.emitted(HealthSignal, since=lost) if s.state == Health.OK]
    assert {signal.node for signal in healthy} == {"beta"}


def test_a_leader_whose_own_hands_are_frozen_lets_another_fence_its_host(world: World) -> None:
    assert world.leader() == "alpha"
    world.hosts["alpha"].frozen = True
    world.run(TIMING.ttl + 0.2)
    (lost,) = world.emitted(LeaderLost)
    assert "hands" in lost.reason
    world.run(6.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert world.leader() == "beta"
    fenced = [by for _, by, d in world.drafts if isinstance(d.data, FenceStarted)]
    assert "alpha" not in fenced, "no host can switch itself off and tell"
    assert world.active_overlaps == []


def test_a_host_with_frozen_hands_does_not_stand_again(world: World) -> None:
    world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")
    world.hosts["alpha"].frozen = True
    world.run(TIMING.ttl + 3.0)
    world.kill("beta")
    world.run(10.0)
    assert world.leader() == "gamma"
    world.hosts["alpha"].frozen = False


def test_a_new_leader_whose_watch_lags_obeys_no_record_of_the_past() -> None:
    world = World(cluster())
    while "g0" not in world.records:
        world.run(0.001)
    assert world.record().phase == Phase.STARTING
    world.run(1.5 * DELAY)
    world.lagging = {"beta"}
    world.run(5.0)
    world.ask("switchover", "beta")
    world.run(5.0)
    assert (world.record().owner, world.record().epoch) == ("beta", 2)
    world.deciders["alpha"] = None
    world.run(15.0)
    assert world.leader() == "beta"
    state = world.deciders["beta"]
    assert state is not None
    assert state.groups["g0"].record.phase == Phase.STARTING, "that is all it was shown"
    assert [order for by, order in world.sent if by == "beta"] == []
    world.feed("beta", RecordSeen(*world.records["g0"]))
    world.run(5.0)
    assert (world.record().owner, world.record().epoch) == ("beta", 2)
    assert world.active_overlaps == []


def test_a_leader_that_a_majority_has_left_steps_down_with_that_very_vote(world: World) -> None:
    state = world.deciders["alpha"]
    assert state is not None
    other = LeaseTerm(
        lease=LEADER_LEASE, term=state.leadership.term + 5, holder="beta", boot="boot-beta-1"
    )
    for voter in ("beta", "gamma"):
        assert state.leading
        latest = max(state.leadership.rounds)
        vote = Vote(voter=voter, round=latest, granted=False, stored=other, reason="no")
        world.feed("alpha", VoteReceived(vote))
        state = world.deciders["alpha"]
        assert state is not None
    assert not state.leading
    assert "agreed to somebody else" in world.emitted(LeaderLost)[-1].reason


def test_a_group_that_runs_on_after_a_stop_that_never_came_is_not_held_for_ever() -> None:
    world = World(cluster(fencing="lease-only", device=False))
    world.run(15.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    world.deaf = {"alpha"}
    world.ask("switchover", "beta")
    while world.record().phase != Phase.HELD:
        world.run(1.0)
    assert "no fence device" in world.record().reason
    world.run(TIMING.order_expiry + 3.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    assert world.record().epoch == 1
    assert "owner_runs_it_still" in {one.rule for one in world.emitted(DecisionRefused)}
