"""The owner reboots before its failover is done: nothing is mute, whatever becomes of that boot."""

import msgspec
import pytest

from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    GroupHeld,
    LeaseRevoked,
    MoveKind,
    OwnershipChanged,
)
from holdfast.failover_decider.messages import PulseHeard, RecordSeen
from holdfast.failover_decider.reboots import HANDS_START
from holdfast.ownership import Intent, OwnershipRecord, Phase
from holdfast.wire import Begun, GroupReport, HandsPulse, WatchdogReport
from tests.support.decider_world import TIMING, World, cluster

BELIEVED = TIMING.suspect_after + 1.0
"""Seconds within which a new boot is believed, once the old one is silent."""
KINDS = ["device", "lease-only", "watchdog"]


def made(kind: str) -> World:
    """The group runs on alpha; a kind of fencing."""
    dog = kind == "watchdog"
    fencing = "lease-only" if kind == "lease-only" else "required"
    world = World(cluster(fencing=fencing, device=kind == "device", watchdog=dog))
    if dog:
        for host in world.hosts.values():
            host.watchdog = WatchdogReport(armed=True, timeout=6.0)
    world.run(10.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "alpha")
    return world


def reboot(world: World, *, hands: bool = False, finds: str = "stopped") -> None:
    """Alpha is back in another boot, faster than its lease runs out, and is believed."""
    world.kill("alpha")
    world.boot("alpha", hands=hands, finds=finds)
    world.run(BELIEVED)
    assert known(world) == "boot-alpha-2"


def known(world: World) -> str | None:
    """The boot of alpha in which beta's decider believes."""
    beta = world.deciders["beta"]
    assert beta is not None
    return beta.nodes["alpha"].boot


def refusals(world: World, since: float = 0.0) -> list[str]:
    return [refusal.rule for refusal in world.emitted(DecisionRefused, since)]


@pytest.mark.parametrize("kind", ["device", "lease-only"])
def test_a_new_boot_that_dies_before_its_hands_speak_is_taken_over(kind: str) -> None:
    world = made(kind)
    reboot(world)
    world.kill("alpha")
    world.run(30.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert [revoked.boot for revoked in world.emitted(LeaseRevoked)] == ["boot-alpha-2"]


def test_a_new_boot_that_proves_nothing_says_so_until_an_operator_vouches() -> None:
    world = made("watchdog")
    reboot(world)
    world.kill("alpha")
    world.run(60.0)
    assert world.record().owner == "alpha"
    assert "fence_unproven" in refusals(world)
    assert isinstance(world.vouch("confirm", "alpha", "boot-alpha-2"), Begun)
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_new_boot_whose_hands_never_come_up_is_switched_off() -> None:
    world = made("device")
    reboot(world)
    world.run(HANDS_START - 1.0)
    assert world.hosts["alpha"].alive, "they may be on their way"
    world.run(20.0)
    assert not world.hosts["alpha"].alive
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert "reboot_unconfirmed" in [decision.rule for decision in world.emitted(DecisionMade)]


@pytest.mark.parametrize("kind", ["lease-only", "watchdog"])
def test_hands_that_never_come_up_are_told_of_where_nothing_ends_the_node(kind: str) -> None:
    world = made(kind)
    reboot(world)
    world.run(40.0)
    assert world.record().owner == "alpha"
    (refusal,) = [r for r in world.emitted(DecisionRefused) if r.rule == "hands_silent"]
    assert "hands of alpha are silent" in refusal.reason
    world.hosts["alpha"].frozen = False
    world.run(20.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.active_overlaps == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_new_boot_lost_track_of_is_stopped_there_first(kind: str) -> None:
    world = made(kind)
    reboot(world, hands=True, finds="unknown")
    world.run(TIMING.ttl + 5.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    assert world.record().boot == "boot-alpha-2"
    assert next(o.action for _, o in world.sent if o.boot == "boot-alpha-2") == "stop"


@pytest.mark.parametrize(("kind", "phase"), [("device", Phase.ACTIVE), ("lease-only", Phase.HELD)])
def test_a_new_boot_that_cannot_stop_it_is_fenced_or_the_group_is_held(
    kind: str, phase: Phase
) -> None:
    world = made(kind)
    world.kill("alpha")
    world.boot("alpha", finds="unknown")
    world.hosts["alpha"].stop_fails = True
    world.run(30.0)
    assert world.record().phase == phase
    assert world.record().owner == ("beta" if kind == "device" else "alpha")
    assert world.hosts["alpha"].alive == (kind != "device")
    assert bool(world.emitted(GroupHeld)) == (kind != "device")
    assert world.active_overlaps == []


@pytest.mark.parametrize("phase", [Phase.FENCING, Phase.STOPPING, Phase.STARTING, Phase.HELD])
@pytest.mark.parametrize("hands", [False, True])
def test_the_same_in_every_phase_that_has_an_owner(phase: Phase, hands: bool) -> None:
    """In the middle of a move of the dead boot, without an answer from the new one."""
    world = made("device")
    world.ask("switchover", "beta")
    world.deaf = {"alpha"}
    world.run(0.02)
    record, revision = world.records["g0"]
    assert record.phase == Phase.STOPPING
    reason = "stop failed" if phase == Phase.HELD else ""
    changed = msgspec.structs.replace(record, phase=phase, reason=reason)
    world.kill("alpha")
    world.records["g0"] = (changed, revision + 1)
    for name in world.deciders:
        world.feed(name, RecordSeen(changed, revision + 1))
    reboot(world, hands=hands, finds="unknown")
    since = world.now
    world.kill("alpha")
    world.run(40.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert "owner_came_back" not in refusals(world)
    assert world.emitted(OwnershipChanged, since)
    assert world.active_overlaps == []


def test_a_new_boot_does_not_call_a_fence_of_the_old_one_off() -> None:
    world = made("watchdog")
    for host in world.hosts.values():
        host.watchdog = None
    world.run(1.0)
    world.kill("alpha")
    world.run(TIMING.ttl + 3.0)
    assert world.record().phase == Phase.FENCING
    world.boot("alpha", hands=False)
    world.run(BELIEVED)
    assert known(world) == "boot-alpha-2"
    assert "owner_came_back" not in refusals(world)
    assert world.record().phase != Phase.ACTIVE
    assert not [r for r, _ in world.records.values() if r.phase == Phase.ACTIVE]


@pytest.mark.parametrize("phase", [Phase.ACTIVE, Phase.STARTING, Phase.STOPPING, Phase.FENCING])
def test_a_leader_that_never_heard_the_recorded_boot_takes_nothing_for_stopped(
    phase: Phase,
) -> None:
    """What it last heard, of a boot before, said that the group was stopped there."""
    world = made("device")
    world.ask("switchover", "beta")
    world.run(5.0)
    assert world.record().owner == "beta"
    world.run(2.0)
    beta = world.deciders["beta"]
    assert beta is not None
    assert beta.nodes["alpha"].report("g0").state == "stopped"  # type: ignore[union-attr]
    world.hosts["alpha"].cut_off = True
    world.deciders["alpha"] = None
    world.fence_says["alpha"] = lambda _: ("on", "it runs")
    while world.leader() not in ("beta", "gamma"):
        world.run(0.1)
    record, revision = world.records["g0"]
    intent = Intent(
        id=world.mint(),
        step=world.mint(),
        kind=MoveKind.RELOCATE,
        target="alpha",
        incident=world.mint(),
        cause=world.mint(),
    )
    moved = OwnershipRecord(
        group="g0",
        epoch=record.epoch + 1,
        owner="alpha",
        boot="boot-alpha-2",
        phase=phase,
        intent=None if phase == Phase.ACTIVE else intent,
    )
    world.records["g0"] = (moved, revision + 1)
    for name in world.deciders:
        world.feed(name, RecordSeen(moved, revision + 1))
    world.run(30.0)
    assert world.record().owner == "alpha"
    assert "owner_rebooted" not in [decision.rule for decision in world.emitted(DecisionMade)]


def test_one_late_pulse_of_a_boot_before_the_recorded_one_is_not_believed() -> None:
    world = made("device")
    world.hosts["alpha"].cut_off = True
    world.fence_says["alpha"] = lambda _: ("on", "it runs")
    world.run(2.0)
    record, revision = world.records["g0"]
    moved = msgspec.structs.replace(record, epoch=record.epoch + 1, boot="boot-alpha-2")
    world.records["g0"] = (moved, revision + 1)
    late = HandsPulse(
        node="alpha",
        boot="boot-alpha-1",
        now=world.now,
        term=1,
        lease_valid=True,
        groups=[GroupReport(group="g0", epoch=1, state="stopped")],
    )
    for name in ("beta", "gamma"):
        world.feed(name, RecordSeen(moved, revision + 1))
        world.feed(name, PulseHeard(late))
    assert known(world) == "boot-alpha-2"
    world.run(1.0)
    assert "owner_rebooted" not in [decision.rule for decision in world.emitted(DecisionMade)]
