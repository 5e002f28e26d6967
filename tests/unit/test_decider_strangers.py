"""A node taken out of the cluster file while records still name it: no decider may fall over it."""

import pytest

from holdfast.events.ownership import DecisionMade, DecisionRefused
from holdfast.failover_decider.status import status
from holdfast.ownership import Phase
from holdfast.wire import Begun, Refused
from tests.support.decider_world import World, cluster

THREE, TWO = ("alpha", "beta", "delta"), ("alpha", "beta")


def moved_to_delta(**of_cluster: object) -> World:
    """A group that runs on delta."""
    world = World(cluster(nodes=THREE, **of_cluster))  # type: ignore[arg-type]
    world.run(30.0)
    assert isinstance(world.ask("switchover", "delta"), Begun)
    world.run(10.0)
    assert (world.record().owner, world.record().phase) == ("delta", Phase.ACTIVE)
    return world


def without_delta(world: World) -> float:
    """The deciders are restarted with a file that does not know delta."""
    world.file = cluster(nodes=TWO)
    for place in world.deciders:
        world.start_decider(place)
        world.run(1.0)
    since = world.now
    world.run(30.0)
    return since


def left_alone(world: World, since: float) -> str:
    """The reason why nothing is done with the group."""
    assert world.emitted(DecisionMade, since) == []
    assert not world.active_overlaps
    said = {r.reason for r in world.emitted(DecisionRefused) if r.rule == "unknown_owner"}
    (reason,) = said
    return str(reason)


@pytest.mark.parametrize("alive", [True, False])
def test_an_owner_that_the_file_does_not_know_leaves_its_group_alone(alive: bool) -> None:
    world = moved_to_delta()
    world.hosts["delta"].alive = alive
    since = without_delta(world)
    assert "put delta back" in left_alone(world, since)
    assert (world.record().owner, world.record().phase) == ("delta", Phase.ACTIVE)
    (leader,) = filter(None, [world.leader()])
    state = world.deciders[leader]
    assert state is not None
    shown = status(state, world.now).groups[0]
    assert shown.owner == "delta"
    assert "put delta back" in shown.reason


@pytest.mark.parametrize("request_", ["stop", "switchover"])
def test_an_operator_is_told_so(request_: str) -> None:
    world = moved_to_delta()
    without_delta(world)
    reply = world.ask(request_)
    assert isinstance(reply, Refused)
    assert "put delta back" in reply.reason


def test_a_group_that_is_held_there_is_left_alone() -> None:
    world = moved_to_delta(device=False, watchdog=True)
    world.hosts["delta"].stop_fails = True
    world.report("delta", "failed")
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("delta", Phase.HELD)
    since = without_delta(world)
    left_alone(world, since)
    assert (world.record().owner, world.record().phase) == ("delta", Phase.HELD)


def test_a_move_that_began_there_ends_elsewhere() -> None:
    """It ran on delta, was to move to alpha, and alpha fails: there is no way back to delta."""
    world = moved_to_delta()
    world.hosts["alpha"].start_fails = True
    assert isinstance(world.ask("switchover", "alpha"), Begun)
    while world.record().owner != "alpha":
        world.run(0.01)
    intent = world.record().intent
    assert intent is not None
    assert intent.origin == "delta"
    assert world.hosts["delta"].groups["g0"].state == "stopped"
    without_delta(world)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert not world.active_overlaps


def test_a_node_that_is_put_back_is_judged_again() -> None:
    world = moved_to_delta()
    without_delta(world)
    world.file = cluster(nodes=THREE)
    for place in world.deciders:
        world.start_decider(place)
    world.run(30.0)
    assert isinstance(world.ask("switchover", "alpha"), Begun)
    world.run(10.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    assert not world.active_overlaps
