"""`holdfast stop` of what does not run: it stays down, and what may run still is stopped again."""

from collections.abc import Callable

import pytest

from holdfast.events.ownership import DecisionRefused, LeaseRevoked
from holdfast.ownership import Phase
from holdfast.wire import Begun, Refused
from tests.support.decider_world import TIMING, World, cluster


def homeless() -> World:
    """g0 may run on alpha alone, which is lost."""
    world = World(cluster(policies={"g0": {"nodes": ["alpha"]}}))
    world.run(10.0)
    world.kill("alpha")
    world.run(20.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, None)
    return world


def never_ran() -> World:
    """g0 may run on alpha alone, which has not come up yet."""
    world = World(cluster(policies={"g0": {"nodes": ["alpha"]}}))
    world.kill("alpha")
    world.run(20.0)
    assert "g0" not in world.records
    return world


def unstopped() -> World:
    """With the lease alone: a stop of g0 failed on alpha."""
    world = World(cluster(fencing="lease-only", device=False))
    world.run(10.0)
    world.hosts["alpha"].stop_fails = True
    assert isinstance(world.ask("switchover"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    return world


@pytest.mark.parametrize("waiting", [homeless, never_ran])
def test_what_waits_for_a_node_stays_down_when_it_comes(waiting: Callable[[], World]) -> None:
    world = waiting()
    assert isinstance(world.ask("stop"), Begun)
    world.run(1.0)
    record = world.record()
    assert (record.phase, record.owner, record.ordered_down) == (Phase.HELD, None, True)
    assert "an operator stopped it" in record.reason
    assert isinstance(world.ask("stop"), Refused), "it is stopped"
    world.boot("alpha")
    world.start_decider("alpha")
    world.run(60.0)
    assert world.record() == record
    assert isinstance(world.ask("start"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "alpha")


def test_a_stop_that_failed_is_tried_again() -> None:
    world = unstopped()
    assert isinstance(world.ask("stop"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha"), "it still hangs"
    world.hosts["alpha"].stop_fails = False
    epoch = world.record().epoch
    assert isinstance(world.ask("stop"), Begun)
    world.run(5.0)
    record = world.record()
    assert (record.phase, record.owner, record.epoch) == (Phase.HELD, None, epoch)
    assert "an operator stopped it" in record.reason
    assert isinstance(world.ask("start"), Begun)
    world.run(5.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.active_overlaps == []


def test_silence_is_no_proof_of_it_while_it_is_tried_again() -> None:
    world = unstopped()
    world.deaf.add("alpha")
    assert isinstance(world.ask("stop"), Begun)
    world.run(0.1)
    assert world.record().phase == Phase.STOPPING
    world.hosts["alpha"].cut_off = True
    since = world.now
    world.run(TIMING.ttl + 20.0)
    assert (world.record().phase, world.record().owner) == (Phase.FENCING, "alpha")
    assert world.emitted(LeaseRevoked) == []
    assert "fence_unproven" in {r.rule for r in world.emitted(DecisionRefused, since)}
    world.hosts["alpha"].cut_off = False
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    assert "stop failed" in world.record().reason
