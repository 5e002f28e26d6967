"""`holdfast stop`: it is done when the group is stopped, and nothing less."""

from holdfast.console.group import Outcome, ended
from holdfast.failover_decider.status import status
from holdfast.wire import Begun, GroupRequest, GroupStatus
from tests.support.decider_world import World, cluster


def shown(world: World) -> GroupStatus:
    """What `holdfast status` says of the group now."""
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    return status(state, world.now).groups[0]


def stopped(world: World) -> Outcome:
    """What `holdfast stop` says, with the first status in which the group is at rest."""
    reply = world.ask("stop")
    assert isinstance(reply, Begun)
    while shown(world).phase not in ("active", "held"):
        world.run(0.001)
    request = GroupRequest(action="stop", group="g0", target=None, operator="ann")
    return ended(request, reply, shown(world))


def test_a_stop_is_done_when_the_group_is_stopped() -> None:
    world = World(cluster())
    world.run(30.0)
    outcome = stopped(world)
    assert outcome.done, outcome
    assert (outcome.phase, outcome.owner) == ("held", None)
    assert world.hosts["alpha"].groups["g0"].state == "stopped"


def test_a_stop_that_failed_is_a_failure_and_says_what_to_do() -> None:
    world = World(cluster(fencing="lease-only"))
    world.run(30.0)
    world.hosts["alpha"].stop_fails = True
    outcome = stopped(world)
    assert not outcome.done, outcome
    assert (outcome.phase, outcome.owner) == ("held", "alpha")
    assert "stop failed" in outcome.reason
    assert "holdfast fence confirm alpha" in outcome.reason
