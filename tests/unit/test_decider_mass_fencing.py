"""The limit to mass fencing outlives the leader that met it."""

import pytest

from holdfast.events.ownership import DecisionRefused, FenceStarted
from holdfast.failover_decider.messages import LeadAsked
from holdfast.ownership import Phase
from holdfast.wire import LeadRequest
from tests.support.decider_world import TIMING, World, cluster

NODES = ("alpha", "beta", "delta", "eps", "zeta", "eta")


@pytest.fixture
def world() -> World:
    """Six hosts with a group each, led by gamma; three of them, all there may be, are off."""
    policies = {f"g{n}": {"nodes": [node, "alpha"]} for n, node in enumerate(NODES)}
    world = World(cluster(nodes=NODES, policies=policies))
    world.run(30.0)
    lead(world, "gamma")
    assert [world.record(group).owner for group in policies] == list(NODES)
    for node in ("delta", "eps", "zeta"):
        world.hosts[node].cut_off = True
        world.run(TIMING.ttl + 4.0)
        assert not world.hosts[node].alive
    return world


def lead(world: World, place: str) -> None:
    """Hand the leadership over."""
    leader = world.leader()
    assert leader is not None
    if leader != place:
        world.feed(leader, LeadAsked(LeadRequest(place=place, operator="ann")))
        world.run(5.0)
    assert world.leader() == place


def offs(world: World, since: float) -> list[str]:
    return [f.node for f in world.emitted(FenceStarted, since) if f.action == "off"]


def held(world: World, since: float) -> list[str | None]:
    return [r.node for r in world.emitted(DecisionRefused, since) if r.rule == "mass_fencing"]


def test_a_new_leader_knows_whom_the_old_one_switched_off(world: World) -> None:
    lead(world, "alpha")
    since = world.now
    world.hosts["eta"].cut_off = True
    world.run(TIMING.ttl + 4.0)
    assert (offs(world, since), held(world, since)) == ([], ["eta"])
    assert world.hosts["eta"].alive
    world.run(60.0)
    assert offs(world, since) == ["eta"], "the window has passed"


def test_one_that_was_started_anew_counts_what_it_reads_is_to_be_fenced(world: World) -> None:
    world.fence_says["eta"] = lambda _: ("on", "it runs")
    world.hosts["eta"].cut_off = True
    world.run(TIMING.ttl + 2.0)
    assert world.record("g5").phase == Phase.FENCING
    for name in ("alpha", "beta"):
        world.start_decider(name)
    world.deciders["gamma"] = None
    world.run(TIMING.leader_ttl + TIMING.ttl + 3.0)
    leader = world.leader()
    assert leader in ("alpha", "beta")
    state = world.deciders[leader]
    assert state is not None
    assert list(state.fenced) == ["eta"]


def test_a_fence_that_was_called_off_counts_no_more() -> None:
    """alpha was to be fenced by another leader, and is heard again: beta may be fenced."""
    world = World(cluster(groups=2, policies={"g1": {"nodes": ["beta", "alpha"]}}))
    world.run(30.0)
    lead(world, "gamma")
    world.fence_says["alpha"] = lambda _: ("on", "it runs")
    world.hosts["alpha"].cut_off = True
    while world.record("g0").phase != Phase.FENCING:
        world.run(0.01)
    world.hosts["alpha"].cut_off = False
    world.run(5.0)
    assert world.record("g0").phase == Phase.ACTIVE
    lead(world, "alpha")
    since = world.now
    world.hosts["beta"].frozen = True
    world.run(TIMING.ttl + 4.0)
    assert (offs(world, since), held(world, since)) == (["beta"], [])
