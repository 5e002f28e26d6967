"""Four hosts, of which three places have a vote: the others' deciders decide nothing."""

import pytest

from holdfast.config.check import problems
from holdfast.events.ownership import LeaderElected
from holdfast.ownership import Phase
from holdfast.wire import Begun
from tests.support.decider_world import World, cluster

HOSTS = ("alpha", "beta", "delta", "epsilon")
WITHOUT = ("delta", "epsilon")


@pytest.fixture
def world() -> World:
    """All hosts run a decider; alpha, beta and the witness vote."""
    file = cluster(nodes=HOSTS)
    assert [one for one in problems(file) if one.key.startswith("cluster.")] == []
    world = World(file)
    for place in WITHOUT:
        world.start_decider(place)
    world.run(30.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    return world


def said_by_them(world: World) -> list[object]:
    """What the deciders without a vote put on the record."""
    return [draft.data for _, place, draft in world.drafts if place in WITHOUT]


def test_a_place_without_a_vote_runs_groups_and_loses_them_like_any_other(world: World) -> None:
    assert isinstance(world.ask("switchover", "delta"), Begun)
    world.run(10.0)
    assert world.record().owner == "delta"
    world.kill("delta")
    world.run(30.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    assert not world.active_overlaps
    assert said_by_them(world) == []


def test_it_does_not_stand_when_the_leader_is_lost(world: World) -> None:
    leader = world.leader()
    assert leader == "alpha"
    since = world.now
    world.kill("alpha")
    world.run(60.0)
    (elected,) = world.emitted(LeaderElected, since)
    assert elected.leader in ("beta", "gamma")
    assert world.record().owner == "beta"
    assert said_by_them(world) == []


def test_without_a_majority_it_takes_nothing_into_its_hands(world: World) -> None:
    world.kill("alpha")
    world.kill("beta")
    since = world.now
    world.run(120.0)
    assert world.emitted(LeaderElected, since) == []
    assert said_by_them(world) == []
