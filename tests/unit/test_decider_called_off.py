"""A node is silent past its ttl, and is heard again before it was switched off."""

import pytest

from holdfast.events.ownership import DecisionMade, DecisionRefused, OwnershipChanged
from holdfast.failover_decider.messages import PulseHeard
from holdfast.ownership import Phase
from holdfast.wire import Begun, GroupReport, HandsPulse, WatchdogReport
from tests.support.decider_world import TIMING, World, cluster, replace_report


def nobody_knows(action: str) -> tuple[str, str]:
    """The device says on, and cannot switch it off."""
    return ("on", "it runs") if action == "status" else ("failed", "the board does not answer")


def led_by_gamma(**of_cluster: object) -> World:
    """g0 runs on alpha; the decider there, and that of beta, lead no more."""
    world = World(cluster(**of_cluster))  # type: ignore[arg-type]
    world.run(30.0)
    for name in ("alpha", "beta"):
        world.deciders[name] = None
    world.run(TIMING.leader_ttl + 3.0)
    for name in ("alpha", "beta"):
        world.start_decider(name)
    world.run(TIMING.ttl)
    assert world.leader() == "gamma"
    return world


def stalls(world: World, node: str, phase: Phase, group: str = "g0") -> None:
    """The next order of a phase does not reach the node, which is silent until its fence."""
    world.deaf.add(node)
    while group not in world.records or world.record(group).phase != phase:
        world.run(0.005)
    assert world.record(group).owner == node
    world.hosts[node].cut_off = True
    while world.record(group).phase != Phase.FENCING:
        world.run(0.005)
    world.run(0.05)
    world.hosts[node].cut_off = False
    world.deaf.clear()


@pytest.mark.parametrize("kind", ["device", "watchdog"])
def test_a_start_that_was_never_taken_is_taken_back_and_made_again(kind: str) -> None:
    world = led_by_gamma(device=kind == "device", watchdog=kind == "watchdog")
    for host in world.hosts.values():
        armed = WatchdogReport(armed=True, timeout=6.0, problem="")
        host.watchdog = armed if kind == "watchdog" else None
    world.run(1.0)
    began, before = world.now, world.record().epoch
    world.fence_says["beta"] = nobody_knows
    assert isinstance(world.ask("switchover", "beta"), Begun)
    if kind == "watchdog":  # it is no proof of a node that has not started anything yet
        world.hosts["beta"].watchdog = WatchdogReport(armed=False, timeout=6.0, problem="")
    stalls(world, "beta", Phase.STARTING)
    world.run(20.0)
    changes = [(c.phase, c.owner, c.epoch - before) for c in world.emitted(OwnershipChanged, began)]
    assert changes[:-2] == [
        ("stopping", "alpha", 0),
        ("starting", "beta", 1),
        ("fencing", "beta", 1),
        ("stopping", "beta", 1),
    ]
    assert [(phase, epoch) for phase, _, epoch in changes[-2:]] == [("starting", 2), ("active", 2)]
    owner = world.record().owner  # beta, or alpha if beta's lease is not back so soon
    assert owner is not None
    assert world.hosts[owner].groups["g0"].state == "active"
    assert world.active_overlaps == []


def test_a_start_that_was_never_taken_is_made_again_on_the_only_node_there_is() -> None:
    world = World(cluster(policies={"g0": {"nodes": ["beta"]}}))
    for name in ("beta", "gamma"):
        world.deciders[name] = None
        world.after(3.0, lambda name=name: world.start_decider(name))  # type: ignore[misc]
    world.fence_says["beta"] = nobody_knows
    stalls(world, "beta", Phase.STARTING)
    world.run(20.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")
    assert world.hosts["beta"].groups["g0"].state == "active"
    refused = {r.rule for r in world.emitted(DecisionRefused)}
    assert "no_other_node" not in refused


def test_a_switchover_whose_stop_was_never_taken_goes_on() -> None:
    world = led_by_gamma()
    world.fence_says["alpha"] = nobody_knows
    assert isinstance(world.ask("switchover", "beta"), Begun)
    stalls(world, "alpha", Phase.STOPPING)
    world.run(20.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "beta")
    assert [m.rule for m in world.emitted(DecisionMade)][-1] == "operator_switchover"
    assert world.active_overlaps == []


def test_what_merely_ran_there_is_left_to_its_owner() -> None:
    world = led_by_gamma()
    began = world.now
    world.fence_says["alpha"] = nobody_knows
    world.hosts["alpha"].stop_fails = True  # its hands stood still with it, and stopped nothing
    world.hosts["alpha"].cut_off = True
    while world.record().phase != Phase.FENCING:
        world.run(0.005)
    world.hosts["alpha"].cut_off = False
    world.run(20.0)
    changes = [(c.phase, c.owner) for c in world.emitted(OwnershipChanged, began)]
    assert changes == [("fencing", "alpha"), ("active", "alpha")]


def test_a_group_whose_owner_lost_track_of_it_is_started_there_again() -> None:
    """Its hands lost their journal, say. Nothing failed on that boot."""
    world = World(cluster(policies={"g0": {"nodes": ["alpha"]}}))
    world.run(10.0)
    past = replace_report(world.hosts["alpha"].groups["g0"], "stopped", None)  # type: ignore[arg-type]
    world.hosts["alpha"].groups["g0"] = type(past)(group="g0", epoch=0, state="stopped")
    world.run(20.0)
    assert [m.rule for m in world.emitted(DecisionMade)][-1] == "owner_lost_track"
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "alpha")
    assert (world.record().avoid, world.record().epoch) == ([], 2)
    assert world.hosts["alpha"].groups["g0"].state == "active"


def test_a_report_that_was_overtaken_by_a_later_one_says_nothing() -> None:
    """It was sent before the group was started there, and arrives seconds after."""
    world = World(cluster())
    world.run(30.0)
    leader = world.leader()
    assert leader is not None
    before = GroupReport(group="g0", epoch=0, state="stopped")
    late = HandsPulse(
        node="alpha",
        boot="boot-alpha-1",
        now=world.now - 2.5,
        term=1,
        lease_valid=True,
        groups=[before],
    )
    world.feed(leader, PulseHeard(late))
    world.run(5.0)
    assert [m.rule for m in world.emitted(DecisionMade)] == ["start_stopped"]
    assert world.record().epoch == 1
