"""A group that was renamed, or took a resource over, does not run a second time."""

from holdfast.config.model import ProcessResource
from holdfast.events.ownership import DecisionRefused
from holdfast.ownership import Phase
from holdfast.wire import Begun, GroupReport
from tests.support.decider_world import World, cluster


def world_with(report: GroupReport, resource: str = "p") -> World:
    """One group, which never ran; alpha's hands tell of another one, too."""
    own = {"resources": {resource: ProcessResource(command=["true"])}}
    world = World(cluster(policies={"g0": own}))
    world.hosts["alpha"].groups["old"] = report
    world.run(20.0)
    return world


RUNS = GroupReport(group="old", epoch=3, state="active", left=["p"])


def test_a_group_that_runs_under_its_former_name_is_not_started_again() -> None:
    world = world_with(RUNS)
    assert "g0" not in world.records
    (refused,) = world.emitted(DecisionRefused)
    assert refused.rule == "left_running"
    assert "alpha runs p still, as part of old" in refused.reason


def test_it_starts_when_that_is_stopped() -> None:
    world = world_with(RUNS)
    world.hosts["alpha"].groups["old"] = GroupReport(group="old", epoch=3, state="stopped")
    world.run(5.0)
    assert world.record().phase == Phase.ACTIVE


def test_it_does_not_start_either_when_the_node_that_runs_it_falls_silent() -> None:
    world = world_with(RUNS)
    world.hosts["alpha"].cut_off = True
    world.run(30.0)
    assert "g0" not in world.records


def test_it_starts_when_that_node_runs_another_boot() -> None:
    world = world_with(RUNS)
    world.kill("alpha")
    world.run(5.0)
    world.boot("alpha")
    world.run(20.0)
    assert world.record().phase == Phase.ACTIVE


def test_an_operator_who_knows_better_starts_it() -> None:
    world = world_with(RUNS)
    assert isinstance(world.ask("start"), Begun)
    world.run(5.0)
    assert world.record().phase == Phase.ACTIVE


def test_what_has_nothing_to_do_with_it_is_started() -> None:
    assert world_with(RUNS, "q").record().phase == Phase.ACTIVE
    listed = GroupReport(group="old", epoch=3, state="active")
    assert world_with(listed).record().phase == Phase.ACTIVE
