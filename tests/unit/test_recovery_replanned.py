"""The hands start again in the middle of something, with another cluster file."""

from holdfast.config.model import Resource
from holdfast.events.hands import RecoveryExhausted
from holdfast.recovery.plan import OVERTIME, with_retired
from tests.support.hands_world import World, plan_of, resource


def starting(**resources: Resource) -> World:
    """A group whose start at epoch 5 has begun with its first resource."""
    world = World(plan_of(**resources))
    world.resume(adopt=False)
    world.settle()
    world.order("start", 5, "a")
    return world


def restart(world: World, left: dict[str, Resource], **resources: Resource) -> None:
    """The service again, within its lease, with this file; `left` may run still."""
    world.plan = with_retired(plan_of(**resources), left)
    world.resume(adopt=True)


def test_a_start_goes_on_without_what_was_taken_out_before_it_was_started() -> None:
    world = starting(disk=resource(), db=resource())
    restart(world, {}, disk=resource())
    world.settle()
    assert world.phase == "active"
    assert world.running == {"disk": 5}


def test_what_was_taken_out_while_it_started_is_stopped_and_not_started_again() -> None:
    world = starting(disk=resource(), db=resource())
    world.finish()
    assert world.started[-1] == ("db", 5)
    restart(world, {"db": resource()}, disk=resource())
    world.settle()
    assert world.phase == "active"
    assert world.running == {"disk": 5}
    assert len(world.started) == 2


def test_a_start_of_which_nothing_is_left_is_done() -> None:
    world = starting(disk=resource(), db=resource())
    world.finish()
    world.finish()
    world.finish()  # only the last is to be verified now
    restart(world, {"db": resource()}, disk=resource())
    world.settle()
    assert world.phase == "active"
    assert world.state.work is None


def test_a_stop_goes_on_without_what_was_seen_to_be_stopped_and_taken_out() -> None:
    world = starting(disk=resource(), db=resource())
    world.finish(ok=False)
    world.order("stop", 5, "b")
    assert world.state.resource("db").state == "stopped"
    restart(world, {"disk": resource()})
    world.settle()
    assert world.phase == "stopped"
    assert world.running == {}


def test_a_recovery_of_what_was_taken_out_goes_on_with_what_depends_on_it() -> None:
    world = starting(db=resource(), web=resource(after=("db",)))
    world.settle()
    world.running.pop("db")
    world.signal("db", "it-died")
    world.finish()
    world.finish()  # both are stopped
    restart(world, {}, web=resource())
    world.finish(ok=False, effective=False)
    assert world.phase == "failed"
    assert "cluster file does not have it" in world.state.reason
    assert world.last(RecoveryExhausted).entity == "resource/web/db"


def test_what_was_added_to_a_stopped_group_is_looked_at_before_it_is_called_stopped() -> None:
    """The machine may have begun it by itself, and nothing else would disarm the watchdog."""
    world = starting(disk=resource())
    world.order("stop", 5, "b")
    world.settle()
    world.running["db"] = 0
    restart(world, {}, disk=resource(), db=resource())
    assert world.phase == "unknown"
    world.settle()
    assert (world.phase, world.running) == ("stopped", {})
    assert world.state.all_stopped()


def test_what_was_added_to_a_group_that_runs_changes_nothing_of_it() -> None:
    world = starting(disk=resource())
    world.settle()
    restart(world, {}, disk=resource(), db=resource())
    assert (world.phase, world.pending, world.running) == ("active", None, {"disk": 5})


def test_the_answer_to_an_order_says_how_long_it_may_take_with_what_was_taken_out() -> None:
    world = World(with_retired(plan_of(db=resource()), {"disk": resource()}))
    world.resume(adopt=False)
    world.settle()
    one = resource()
    stops = 2 * (one.stop_timeout + OVERTIME)
    assert world.order("start", 5, "a").takes == stops + one.start_timeout
    world.settle()
    assert world.order("stop", 5, "b").takes == stops
