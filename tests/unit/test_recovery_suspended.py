"""A restart that was begun before its group is in maintenance waits until that is over."""

import pytest

from holdfast.recovery.messages import LeaseEnded
from holdfast.recovery.suspended import TOLD_WITHIN, Suspended
from holdfast.wire import Suspend
from tests.support.hands_world import World, plan_of, resource


@pytest.fixture
def world() -> World:
    """Its second restart, with a back-off, is due at 1030; at 1010 the group is in maintenance."""
    world = World(plan_of(db=resource(backoff=30.0)))
    world.resume(adopt=False)
    world.settle()
    world.order("start", 5, "a")
    world.settle()
    for event in ("first", "second"):
        world.running.pop("db")
        world.signal("db", event)
        world.finish()
        if event == "first":
            world.settle()
    assert (world.state.wake_at(), world.running) == (1030.0, {})
    suspend(world, 1010.0)
    return world


def suspend(world: World, now: float) -> None:
    """The leader says so now, for half a minute."""
    world.now, world.suspended_until = now, now + 30.0


def wake(world: World) -> None:
    """The time that the core asked for has come."""
    at = world.state.wake_at()
    assert at is not None
    world.now = max(world.now, at)
    world.tick()


def test_nothing_is_touched_while_somebody_works_on_it(world: World) -> None:
    for now in (1030.0, 1050.0, 1075.0):
        suspend(world, now)
        world.tick()
        assert world.pending is None
        assert world.phase == "recovering"
    assert len(world.started) == 2


def test_when_it_is_over_it_is_stopped_before_it_is_started(world: World) -> None:
    wake(world)
    world.running["db"] = 0  # by whoever works on it
    wake(world)
    assert world.pending is not None
    assert world.pending.verb == "stop"
    world.settle()
    assert (world.phase, world.running) == ("active", {"db": 5})


def test_a_restart_that_fails_meanwhile_waits_with_the_next_one(world: World) -> None:
    world.suspended_until = 0.0
    wake(world)
    assert world.pending is not None
    assert world.pending.verb == "start"
    suspend(world, world.now)
    world.finish(ok=False)
    assert world.pending is None
    assert len(world.started) == 3


def test_an_order_and_the_end_of_the_lease_wait_for_nothing(world: World) -> None:
    wake(world)
    world.order("stop", 5, "b")
    world.settle()
    assert world.phase == "stopped"
    world.order("start", 6, "c")
    world.settle()
    assert world.phase == "active"
    world.feed(LeaseEnded("lost", "signal", "the lease runs out"))
    world.settle()
    assert world.phase == "stopped"


def test_hands_that_have_just_started_listen_first() -> None:
    """What was told to those before them counts for a group on which somebody works."""
    suspended = Suspended("alpha", "boot-1", 100.0)
    assert suspended.covers("web", 100.0 + TOLD_WITHIN / 2)
    assert not suspended.covers("web", 100.1 + TOLD_WITHIN)
    told = Suspend(node="alpha", boot="boot-1", groups=["web"], not_after=130.0)
    suspended.hear(told, 100.5)
    assert suspended.covers("web", 120.0)
    assert not suspended.covers("other", 101.0), "it is known now that nobody works on that"
