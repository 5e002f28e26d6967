"""Records and pulses that cannot be true: they change nothing, and nothing is stuck after them."""

from typing import Any

import msgspec
import pytest

from holdfast.failover_decider import core
from holdfast.failover_decider.messages import (
    LeadAsked,
    PulseHeard,
    RecordSeen,
    RecordSpoiled,
    Reject,
)
from holdfast.ids import uuid7
from holdfast.ownership import Phase
from holdfast.wire import HandsPulse, LeadRequest, MonitorPulse
from tests.support.decider_world import TIMING, World, cluster


@pytest.fixture
def world() -> World:
    """A cluster whose group runs on alpha, led by alpha."""
    world = World(cluster())
    world.run(5.0)
    assert world.record().owner == "alpha"
    return world


def spoil(world: World) -> int:
    """The bucket's newest revision is nonsense; everybody's watch says so."""
    record, revision = world.records["g0"]
    world.records["g0"] = (record, revision + 1)
    for name in world.deciders:
        world.feed(name, RecordSpoiled("g0", revision + 1))
    return revision + 1


def test_the_leader_writes_the_record_again_without_a_decision(world: World) -> None:
    before, drafts = world.record(), len(world.drafts)
    revision = spoil(world)
    world.run(2.0)
    assert world.records["g0"] == (before, revision + 1)
    assert len(world.drafts) == drafts
    for state in world.deciders.values():
        assert state is not None
        assert not state.groups["g0"].spoiled
        assert state.groups["g0"].revision == revision + 1


def test_a_record_spoiled_while_nobody_leads_stops_no_failover(world: World) -> None:
    world.kill("alpha")
    spoil(world)
    world.run(12.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_record_spoiled_while_another_write_is_under_way_stops_nothing(world: World) -> None:
    world.store_stalled_until = world.now + 5.0
    world.report("alpha", "failed")
    world.run(1.0)
    spoil(world)
    world.run(15.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_record_of_a_past_epoch_is_rejected_and_overwritten(world: World) -> None:
    before, (_, revision) = world.record(), world.records["g0"]
    past = msgspec.structs.replace(before, epoch=0, owner="beta", phase=Phase.STOPPED)
    world.records["g0"] = (past, revision + 1)
    for name in world.deciders:
        rejected = _rejected(world, name, RecordSeen(past, revision + 1))
        assert [reject.kind for reject in rejected] == ["stale"]
        world.feed(name, RecordSeen(past, revision + 1))
    world.run(2.0)
    assert world.record() == before


def test_a_pulse_of_another_boot_while_this_one_beats_is_rejected(world: World) -> None:
    forged: list[MonitorPulse | HandsPulse] = [
        MonitorPulse(node="alpha", boot="boot-forged", now=1.0),
        HandsPulse(node="alpha", boot="boot-forged", now=1.0, term=9, lease_valid=True),
    ]
    quiet = len(world.drafts)
    for pulse in forged:
        for name in world.deciders:
            assert [reject.kind for reject in _rejected(world, name, PulseHeard(pulse))] == [
                "stale"
            ]
            world.feed(name, PulseHeard(pulse))
    world.run(30.0)
    assert len(world.drafts) == quiet
    assert world.record().owner == "alpha"


def test_a_reboot_is_believed_once_the_old_boot_is_silent(world: World) -> None:
    world.kill("alpha")
    world.boot("alpha")
    world.run(TIMING.suspect_after + 12.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.record().boot in ("boot-alpha-2", "boot-beta-1")
    leader = world.deciders["beta"]
    assert leader is not None
    assert leader.nodes["alpha"].boot == "boot-alpha-2"


def _rejected(world: World, name: str, happened: Any) -> list[Reject]:
    """What a decider would reject about an input; its state stays as it is."""
    state = world.deciders[name]
    assert state is not None
    _, effects = core.decide(state, happened, world.now, uuid7)
    return [effect for effect in effects if isinstance(effect, Reject)]


def test_a_leader_that_steps_down_leaves_the_spoiled_record_to_the_next(world: World) -> None:
    alpha = world.deciders["alpha"]
    assert alpha is not None
    world.store_stalled_until = world.now + 2.0
    spoil(world)
    world.feed("alpha", LeadAsked(LeadRequest(place="beta", operator="o")))
    alpha = world.deciders["alpha"]
    assert alpha is not None
    assert alpha.groups["g0"].spoiled
    before = world.record()
    world.run(8.0)
    assert world.leader() == "beta"
    assert world.record() == before
    assert all(state and not state.groups["g0"].spoiled for state in world.deciders.values())
