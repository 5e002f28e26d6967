"""What operators ask of the decider, on virtual time."""

from typing import Any

import pytest

from holdfast.events.ownership import DecisionMade, DecisionRefused, GroupHeld, MoveCompleted
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider.messages import GroupAsked
from holdfast.ownership import Phase
from holdfast.wire import Begun, GroupRequest, Refused
from tests.support.decider_world import World, cluster


@pytest.fixture
def world() -> World:
    """A cluster whose group runs on alpha, led by alpha."""
    world = World(cluster())
    world.run(5.0)
    return world


def ask(world: World, action: Any, target: str | None = None, group: str = "g0") -> Begun | Refused:
    leader = world.leader()
    assert leader is not None
    request = GroupRequest(action=action, group=group, target=target, operator="ann")
    world.feed(leader, GroupAsked(1, request))
    return world.answers.pop(1)


def test_a_leader_whose_lease_ran_out_unnoticed_refuses(world: World) -> None:
    """It was paused, and the request is the first that it hears afterwards."""
    writes = []
    world._write = lambda *write: writes.append(write)  # type: ignore[method-assign]
    world.now += 10.0
    world.feed("alpha", GroupAsked(1, GroupRequest(action="stop", group="g0", operator="ann")))
    assert isinstance(world.answers.pop(1), Refused)
    world.run(0.05)
    assert not writes


def test_a_switchover_stops_in_order_then_starts_on_the_target(world: World) -> None:
    reply = ask(world, "switchover", "beta")
    assert isinstance(reply, Begun)
    world.run(3.0)
    assert world.record().owner == "beta"
    assert world.record().phase == Phase.ACTIVE
    assert world.active_overlaps == []
    move = world.emitted(MoveCompleted)[-1]
    assert (move.kind, move.node) == ("switchover", "beta")
    request = next(d for _, _, d in world.drafts if isinstance(d.data, OperatorRequest))
    assert reply.incident == request.id, "the request is the root of its incident"


def test_a_switchover_without_a_target_takes_the_next_best(world: World) -> None:
    reply = ask(world, "switchover")
    assert isinstance(reply, Begun)
    assert reply.target == "beta"


def test_a_switchover_whose_target_fails_is_rolled_back(world: World) -> None:
    world.hosts["beta"].start_fails = True
    ask(world, "switchover", "beta")
    world.run(5.0)
    assert world.record().owner == "alpha"
    assert world.record().phase == Phase.ACTIVE
    assert world.active_overlaps == []


def test_a_switchover_to_a_node_that_may_not_run_it_is_refused_with_the_reason(
    world: World,
) -> None:
    world.kill("beta")
    world.run(3.0)
    reply = ask(world, "switchover", "beta")
    assert isinstance(reply, Refused)
    assert "its pulse is no longer heard" in reply.reason
    assert world.record().owner == "alpha"
    assert world.emitted(DecisionRefused)[-1].rule == "operator_switchover"


def test_a_target_outside_the_groups_nodes_is_refused(world: World) -> None:
    reply = ask(world, "switchover", "gamma")
    assert isinstance(reply, Refused)
    assert world.record().owner == "alpha"


def test_a_stopped_group_stays_stopped_until_an_operator_starts_it(world: World) -> None:
    assert isinstance(ask(world, "stop"), Begun)
    world.run(3.0)
    assert world.record().phase == Phase.HELD
    assert "operator" in world.emitted(GroupHeld)[-1].reason
    world.boot("alpha")
    world.run(20.0)
    assert world.record().phase == Phase.HELD
    assert isinstance(ask(world, "start", "beta"), Begun)
    world.run(3.0)
    assert world.record().owner == "beta"


@pytest.mark.parametrize("action", ["switchover", "stop"])
def test_a_request_during_a_move_is_refused(world: World, action: str) -> None:
    ask(world, "switchover", "beta")
    reply = ask(world, action)
    assert isinstance(reply, Refused)
    assert "under way" in reply.reason
    assert len([d for d in world.emitted(DecisionMade) if d.kind == "switchover"]) == 1


def test_an_unknown_group_is_refused(world: World) -> None:
    assert isinstance(ask(world, "stop", group="nowhere"), Refused)
