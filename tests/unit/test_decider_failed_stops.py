"""A stop failed: from then on silence is no proof, wherever the only proof would be silence."""

import pytest

from holdfast.events.ownership import DecisionRefused, GroupHeld, LeaseRevoked, OwnershipChanged
from holdfast.ownership import Phase
from holdfast.wire import Begun, WatchdogReport
from tests.support.decider_world import TIMING, World, cluster

ARMED = WatchdogReport(armed=True, timeout=6.0)


def held(kind: str = "lease-only", *, groups: int = 1) -> World:
    """Groups on alpha; g0 failed there, and could not be stopped."""
    fencing = "lease-only" if kind == "lease-only" else "required"
    world = World(
        cluster(fencing=fencing, device=False, watchdog=kind != "lease-only", groups=groups)
    )
    for host in world.hosts.values():
        host.watchdog = ARMED if kind == "watchdog" else None
    world.run(10.0)
    world.hosts["alpha"].stop_fails = True
    world.report("alpha", "failed")
    world.run(5.0)
    record = world.record()
    assert (record.phase, record.owner, record.boot) == (Phase.HELD, "alpha", "boot-alpha-1")
    return world


def held_by_word(kind: str = "lease-only") -> World:
    """An operator's stop of g0 failed on alpha."""
    fencing = "lease-only" if kind == "lease-only" else "required"
    world = World(cluster(fencing=fencing, device=False, watchdog=kind != "lease-only"))
    for host in world.hosts.values():
        host.watchdog = ARMED if kind == "watchdog" else None
    world.run(10.0)
    world.hosts["alpha"].stop_fails = True
    assert isinstance(world.ask("stop"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    return world


def stopped_as_ordered(world: World) -> bool:
    """Nobody owns it, nothing runs, and its record says whose word that is."""
    record, (held, *_) = world.record(), world.emitted(GroupHeld)[::-1]
    said_so = "an operator stopped it" in record.reason and held.reason == record.reason
    down = {host.groups["g0"].state for host in world.hosts.values() if host.alive} == {"stopped"}
    return (record.phase, record.owner) == (Phase.HELD, None) and said_so and down


def said(world: World, rule: str, since: float = 0.0) -> list[str]:
    return [r.reason for r in world.emitted(DecisionRefused, since) if r.rule == rule]


def runs_nowhere_else(world: World) -> bool:
    return world.hosts["beta"].groups["g0"].state == "stopped" and not world.active_overlaps


@pytest.mark.parametrize("kind", ["lease-only", "unarmed"])
def test_a_host_that_falls_silent_leaves_it_held_and_says_what_would_count(kind: str) -> None:
    world = held(kind)
    world.kill("alpha")
    world.run(60.0)
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    assert "stop failed" in world.record().reason
    (reason,) = said(world, "stop_failed")
    assert "fence confirm" in reason
    assert runs_nowhere_else(world)


def test_a_host_that_is_cut_off_and_returns_leaves_it_held() -> None:
    world = held()
    world.hosts["alpha"].cut_off = True
    world.run(30.0)
    world.hosts["alpha"].cut_off = False
    world.run(1.0)
    assert world.record().phase == Phase.HELD
    assert said(world, "owner_came_back") == []


def test_its_reboot_is_a_proof() -> None:
    world = held()
    world.kill("alpha")
    world.run(20.0)
    world.boot("alpha")
    world.run(20.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.active_overlaps == []


@pytest.mark.parametrize("groups", [1, 2])
def test_an_operators_word_is_a_proof(groups: int) -> None:
    """Also after silence has sufficed for another group of that host."""
    world = held(groups=groups)
    world.kill("alpha")
    world.run(30.0)
    assert world.record("g0").phase == Phase.HELD
    if groups == 2:
        assert (world.record("g1").phase, world.record("g1").owner) == (Phase.ACTIVE, "beta")
        assert [revoked.proof for revoked in world.emitted(LeaseRevoked)] == ["lease_expired"]
    assert isinstance(world.vouch("confirm", "alpha"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")


def test_an_armed_watchdog_is_a_proof() -> None:
    world = held("watchdog")
    world.kill("alpha")
    world.run(20.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")
    assert [revoked.proof for revoked in world.emitted(LeaseRevoked)] == ["watchdog_expired"]


def test_a_watchdog_that_let_the_node_return_leaves_it_held() -> None:
    """The fence is decided, and when that is stored at last, the node is heard in the same boot."""
    world = held("watchdog")
    since = world.now
    world.store_stalled_until = since + 11.0
    world.hosts["alpha"].cut_off = True
    world.run(TIMING.ttl + 2.0)
    world.hosts["alpha"].cut_off = False
    world.run(10.0)
    changes = [changed.phase for changed in world.emitted(OwnershipChanged, since)]
    assert changes == ["fencing", "held"]
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    assert "stop failed" in world.emitted(GroupHeld)[-1].reason
    assert runs_nowhere_else(world)


def test_a_leader_that_never_heard_of_it_reads_it_in_the_record() -> None:
    world = held()
    world.kill("alpha")
    world.run(0.1)
    for name in ("beta", "gamma"):
        world.start_decider(name)
    world.run(TIMING.leader_ttl + TIMING.ttl + 30.0)
    assert world.leader() in ("beta", "gamma")
    assert (world.record().phase, world.record().owner) == (Phase.HELD, "alpha")
    assert said(world, "stop_failed")


@pytest.mark.parametrize("kind", ["lease-only", "watchdog"])
@pytest.mark.parametrize("finds", ["stopped", "unknown"])
def test_what_an_operator_stopped_stays_down_when_its_host_reboots(kind: str, finds: str) -> None:
    """A stop failed; the new boot proves that it ended, and `unknown` is stopped there first."""
    world = held_by_word(kind)
    world.kill("alpha")
    world.boot("alpha", finds=finds)
    world.start_decider("alpha")
    world.run(60.0)
    assert stopped_as_ordered(world)
    assert "start" not in {order.action for _, order in world.sent if order.epoch > 1}
    assert isinstance(world.ask("start"), Begun)
    world.run(5.0)
    assert world.record().phase == Phase.ACTIVE


def test_what_an_operator_stopped_stays_down_when_its_host_is_lost() -> None:
    world = held_by_word("watchdog")
    world.kill("alpha")
    world.run(30.0)
    assert [revoked.proof for revoked in world.emitted(LeaseRevoked)] == ["watchdog_expired"]
    assert stopped_as_ordered(world)


def test_what_an_operator_stopped_stays_down_when_the_stop_comes_to_pass_later() -> None:
    world = held_by_word()
    world.report("alpha", "stopped")
    world.run(20.0)
    assert stopped_as_ordered(world)


def test_a_stop_that_an_operator_ordered_goes_on_when_the_host_is_back() -> None:
    """It was silent so long that its fence was decided, and could not be carried out."""
    world = World(cluster(device=True))
    world.run(10.0)
    world.deciders["alpha"] = None  # its hands and its monitor go on
    world.run(TIMING.leader_ttl + 5.0)
    world.fence_says["alpha"] = lambda _: ("on", "it runs")
    world.hosts["alpha"].cut_off = True
    assert isinstance(world.ask("stop"), Begun)
    world.run(TIMING.ttl + 2.0)
    assert world.record().phase == Phase.FENCING
    world.hosts["alpha"].cut_off = False
    world.run(20.0)
    assert said(world, "owner_came_back")
    assert stopped_as_ordered(world)
    assert "start" not in {order.action for _, order in world.sent if order.epoch > 1}
