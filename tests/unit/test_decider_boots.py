"""Late pulses of a boot that is over are no reboot, also for a decider that never knew it."""

import pytest

from holdfast.events.ownership import DecisionMade
from holdfast.failover_decider.boots import in_step
from holdfast.failover_decider.messages import PulseHeard
from holdfast.wire import GroupReport, HandsPulse
from tests.support.decider_world import World, cluster

EVERY = 0.5
PAST = "boot-alpha-0"
OTHERS = ("beta", "gamma")


@pytest.fixture
def world() -> World:
    """The owner was heard, and is cut off for long enough to be suspected."""
    made = World(cluster())
    made.run(10.0)
    assert made.record().owner == "alpha"
    assert set(made.deciders) == {"alpha", *OTHERS}
    made.hosts["alpha"].cut_off = True
    made.run(2.0)
    return made


def hear(world: World, clock: float) -> None:
    """A pulse of the boot before this one, whose hands had stopped the group."""
    report = GroupReport(group="g0", epoch=1, state="stopped")
    pulse = HandsPulse(
        node="alpha", boot=PAST, now=clock, term=1, lease_valid=True, groups=[report]
    )
    for name in OTHERS:
        world.feed(name, PulseHeard(pulse))


def boots(world: World) -> set[str | None]:
    """The boots of alpha that the others believe in."""
    states = [state for name in OTHERS if (state := world.deciders[name]) is not None]
    return {state.nodes["alpha"].boot for state in states}


def test_one_late_pulse_proves_nothing(world: World) -> None:
    since = world.now
    hear(world, 50.0)
    world.run(1.0)
    assert boots(world) == {"boot-alpha-1"}
    assert "owner_rebooted" not in [made.rule for made in world.emitted(DecisionMade, since)]


def test_many_at_once_prove_nothing(world: World) -> None:
    for number in range(10):
        hear(world, 50.0 + number * EVERY)
    assert boots(world) == {"boot-alpha-1"}


def test_some_at_any_time_prove_nothing(world: World) -> None:
    for clock in (50.0, 50.5, 48.0):
        hear(world, clock)
        world.run(1.3)
    assert boots(world) == {"boot-alpha-1"}


def test_what_beats_in_step_is_a_boot(world: World) -> None:
    for number in range(2):
        hear(world, 50.0 + number * EVERY)
        world.run(EVERY)
    assert boots(world) == {PAST}


def test_it_is_heard_again_once_it_beats(world: World) -> None:
    """Whatever was believed meanwhile: nothing makes a decider deaf for good."""
    for number in range(2):
        hear(world, 50.0 + number * EVERY)
        world.run(EVERY)
    world.hosts["alpha"].cut_off = False
    world.run(5.0)
    assert boots(world) == {"boot-alpha-1"}


@pytest.mark.parametrize(
    ("passed", "theirs", "step"),
    [
        (0.5, 0.5, True),
        (0.3, 0.5, True),
        (0.9, 0.5, True),
        (2.0, 2.0, True),
        (0.0, 0.5, False),  # all at once
        (0.1, 0.1, False),  # of two services
        (5.0, 0.5, False),  # each of them late
        (2.5, 2.5, False),  # two that are far apart tell little
        (0.5, -0.5, False),
    ],
)
def test_in_step(passed: float, theirs: float, step: bool) -> None:
    assert in_step(passed, theirs, EVERY) is step
