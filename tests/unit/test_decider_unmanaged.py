"""The owner's hands say nothing of its group: a file that they have does not have it run there."""

from holdfast.events.ownership import DecisionMade, DecisionRefused
from holdfast.ownership import Phase
from holdfast.wire import Begun
from tests.support.decider_world import World, cluster


def unmanaged(fencing: str = "lease-only") -> World:
    """It runs on alpha, whose hands were restarted with a file without alpha in its nodes."""
    world = World(cluster(fencing=fencing))
    world.run(30.0)
    assert world.record().owner == "alpha"
    world.file = cluster(fencing=fencing, policies={"g0": {"nodes": ["beta"]}})
    world.forgotten = {("alpha", "g0")}
    for place in world.deciders:
        world.start_decider(place)
        world.run(1.0)
    return world


def said(world: World, since: float = 0.0) -> list[str]:
    refused = world.emitted(DecisionRefused, since)
    return [one.reason for one in refused if one.rule == "unmanaged_at_owner"]


def test_a_living_owner_that_says_nothing_of_its_group_is_told_of() -> None:
    world = unmanaged()
    since = world.now
    world.run(60.0)
    (reason,) = said(world)
    assert "put alpha back into its `nodes`" in reason
    assert world.emitted(DecisionMade, since) == []
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)


def test_its_silence_does_not_start_the_group_elsewhere() -> None:
    world = unmanaged()
    world.run(30.0)
    world.hosts["alpha"].cut_off = True
    since = world.now
    world.run(60.0)
    assert world.emitted(DecisionMade, since) == []
    assert world.hosts["beta"].groups["g0"].state == "stopped"
    assert said(world, since)
    assert not world.active_overlaps
    assert isinstance(world.vouch("confirm", "alpha"), Begun)
    world.kill("alpha")
    world.run(10.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_fence_device_ends_it_all_the_same() -> None:
    world = unmanaged("required")
    world.run(30.0)
    world.hosts["alpha"].cut_off = True
    world.run(60.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert not world.active_overlaps


def test_hands_that_tell_of_it_are_believed_again() -> None:
    world = unmanaged()
    world.run(30.0)
    world.forgotten = set()
    world.run(5.0)
    world.hosts["alpha"].cut_off = True
    world.run(60.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert not world.active_overlaps
