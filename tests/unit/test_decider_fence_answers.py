"""A fence device that says `off` of a node that beats: its plug is another's, as happens most."""

import pytest

from holdfast.events.fields import Health
from holdfast.events.health import HealthSignal, NodeCleared
from holdfast.events.ownership import DecisionRefused, FenceFinished, LeaseRevoked
from holdfast.failover_decider.messages import PulseHeard
from holdfast.ownership import Phase
from holdfast.wire import MonitorPulse, Refused
from tests.support.decider_world import TIMING, World, cluster


def says_off(action: str) -> tuple[str, str]:
    """The outlet that it looks at is off, and nothing is plugged in there."""
    return "off", "status says off"


def world_led_elsewhere(device: bool = True) -> World:
    """g0 runs on alpha, whose decider leads no more; nor does it ever again."""
    world = World(cluster(device=device))
    world.run(10.0)
    world.deciders["alpha"] = None  # its hands and its monitor go on
    world.run(TIMING.leader_ttl + 5.0)
    assert (world.record().owner, world.leader()) == ("alpha", "beta")
    return world


def alarms(world: World) -> list[HealthSignal]:
    signals = world.emitted(HealthSignal)
    return [s for s in signals if s.probe == "fence" and s.state is Health.FAILED]


def test_off_is_no_proof_while_the_monitor_beats() -> None:
    world = world_led_elsewhere()
    world.fence_says["alpha"] = says_off
    world.hosts["alpha"].frozen = True  # its recovery is stopped; what it runs goes on
    world.run(120.0)
    assert (world.record().phase, world.record().owner) == (Phase.FENCING, "alpha")
    assert (world.active_overlaps, world.emitted(LeaseRevoked)) == ([], [])
    (alarm,) = alarms(world)
    assert "is it this node's plug?" in alarm.reason
    assert "fence_test" in alarm.reason
    (refused,) = [r for r in world.emitted(DecisionRefused) if r.rule == "fence_unproven"]
    assert "is it this node's plug?" in refused.reason
    asked = [f for f in world.emitted(FenceFinished, world.now - 70.0) if f.action == "off"]
    assert asked, "it is tried on, for somebody may put the plug right"
    del world.fence_says["alpha"]
    world.run(70.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")


def test_off_is_a_proof_once_the_monitor_is_silent_too() -> None:
    world = world_led_elsewhere()
    world.hosts["alpha"].frozen = True
    began = world.now
    while world.hosts["alpha"].alive:
        world.run(0.01)
    off = world.now
    assert off - began < TIMING.ttl + 1.0
    world.run(TIMING.suspect_after - TIMING.pulse_every)
    assert world.emitted(LeaseRevoked) == []
    world.run(TIMING.pulse_every + 0.5)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")
    assert alarms(world) == []


def test_off_is_no_proof_of_a_node_whose_stop_failed_and_that_beats() -> None:
    world = world_led_elsewhere()
    world.fence_says["alpha"] = says_off
    world.hosts["alpha"].stop_fails = True
    world.report("alpha", "failed")
    world.run(60.0)
    assert (world.record().phase, world.record().owner) == (Phase.FENCING, "alpha")
    assert world.active_overlaps == []
    assert len(alarms(world)) == 1


def test_a_silent_node_that_is_heard_again_takes_the_proof_back() -> None:
    """Its status was `off`, its fence is being stored: then it is called off."""
    world = world_led_elsewhere()
    world.fence_says["alpha"] = says_off
    world.store_stalled_until = world.now + 8.0
    world.hosts["alpha"].cut_off = True
    world.run(TIMING.suspect_after + 1.0)
    assert [f.outcome for f in world.emitted(FenceFinished)] == ["off"]
    world.hosts["alpha"].cut_off = False
    world.run(20.0)
    assert len(alarms(world)) == 1
    assert (world.record().phase, world.active_overlaps) == (Phase.ACTIVE, [])


def test_a_node_that_beats_after_it_was_taken_over_is_an_alarm() -> None:
    world = world_led_elsewhere()
    world.fence_says["alpha"] = says_off
    world.hosts["alpha"].cut_off = True
    world.run(TIMING.ttl + 2.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")
    assert alarms(world) == []
    world.hosts["alpha"].frozen = True
    world.hosts["alpha"].cut_off = False
    world.run(5.0)
    assert len(alarms(world)) == 1
    assert world.emitted(NodeCleared) == [], "nothing says yet that it stopped what it ran"
    world.hosts["alpha"].frozen = False
    world.run(5.0)
    assert [cleared.node for cleared in world.emitted(NodeCleared)] == ["alpha"]
    assert world.record().owner == "beta"


@pytest.mark.parametrize("proven", [True, False])
def test_a_pulse_that_was_late_contradicts_nothing(proven: bool) -> None:
    world = world_led_elsewhere()
    if not proven:
        world.hosts["alpha"].frozen = True  # the monitor beats until the power is cut
        while world.hosts["alpha"].alive:
            world.run(0.01)
    world.kill("alpha")
    died = world.now
    world.run(TIMING.suspect_after + 0.5 if proven else 0.3)
    assert world.emitted(FenceFinished)[-1].outcome == "off"
    late = MonitorPulse(node="alpha", boot="boot-alpha-1", now=died)
    for name in ("beta", "gamma"):
        world.feed(name, PulseHeard(late))
    world.run(5.0)
    assert alarms(world) == []
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")


def test_an_operators_word_counts_for_no_more_than_a_device_does() -> None:
    world = world_led_elsewhere()
    world.fence_says["alpha"] = says_off
    world.hosts["alpha"].frozen = True
    world.run(20.0)
    assert isinstance(world.vouch("confirm", "alpha"), Refused), "it beats"
