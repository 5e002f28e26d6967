"""Affinity, anti-affinity, capacity and dependencies, on virtual time."""

import pytest

from holdfast.events import Health
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    GroupHeld,
    MoveKind,
    OrderSent,
)
from holdfast.failover_decider.core import decide
from holdfast.failover_decider.messages import Tick, Write
from holdfast.failover_decider.status import status
from holdfast.ownership import Intent, Phase
from holdfast.structs import replace
from holdfast.wire import Begun, Refused
from tests.support.decider_world import World, cluster

THREE = ("alpha", "beta", "delta")


def world_of(**made: object) -> World:
    world = World(cluster(**made))  # type: ignore[arg-type]
    world.run(20.0)
    assert world.active_overlaps == []
    return world


def owners(world: World) -> dict[str, str | None]:
    return {group: record.owner for group, (record, _) in world.records.items()}


def phases(world: World) -> set[Phase]:
    return {record.phase for record, _ in world.records.values()}


def test_groups_kept_apart_start_apart_although_they_prefer_the_same_node() -> None:
    world = world_of(policies={"g0": {}, "g1": {"apart_from": ["g0"]}})
    assert owners(world) == {"g0": "alpha", "g1": "beta"}
    made = next(d for d in world.emitted(DecisionMade) if d.group == "g1")
    (other,) = made.alternatives
    assert other.choice == "alpha"
    assert other.rejected_because == "g0 is there, from which it is kept apart"


def test_an_unsatisfiable_separation_holds_the_group_with_the_reason_and_heals() -> None:
    world = world_of(policies={"g0": {}, "g1": {"apart_from": ["g0"]}})
    world.kill("beta")
    world.run(20.0)
    assert world.record("g1").phase == Phase.HELD
    assert "g0 is there, from which it is kept apart" in world.emitted(GroupHeld)[-1].reason
    assert world.record("g0").owner == "alpha"
    world.boot("beta")
    world.run(10.0)
    assert owners(world) == {"g0": "alpha", "g1": "beta"}
    assert phases(world) == {Phase.ACTIVE}


def test_a_wish_gives_way_where_a_requirement_would_not() -> None:
    world = world_of(policies={"g0": {}, "g1": {"prefer_apart_from": ["g0"]}})
    assert owners(world) == {"g0": "alpha", "g1": "beta"}
    world.kill("beta")
    world.run(20.0)
    assert owners(world) == {"g0": "alpha", "g1": "alpha"}


def test_a_group_follows_the_one_it_stays_together_with() -> None:
    world = world_of(policies={"g0": {"together_with": ["g1"]}, "g1": {"nodes": ["beta", "alpha"]}})
    assert owners(world) == {"g0": "beta", "g1": "beta"}
    assert len(world.emitted(DecisionMade)) == 2, "no detour"
    assert isinstance(world.ask("switchover", "alpha", "g1"), Begun)
    world.run(15.0)
    assert owners(world) == {"g0": "alpha", "g1": "alpha"}
    assert world.emitted(DecisionMade)[-1].rule == "misplaced"
    assert world.active_overlaps == []


def test_a_follower_that_cannot_follow_says_so_and_stays() -> None:
    world = world_of(
        nodes=THREE,
        policies={"g0": {"together_with": ["g1"], "nodes": ["alpha", "beta"]}, "g1": {}},
    )
    assert owners(world) == {"g0": "alpha", "g1": "alpha"}
    world.ask("switchover", "delta", "g1")
    world.run(20.0)
    assert owners(world) == {"g0": "alpha", "g1": "delta"}
    refusal = world.emitted(DecisionRefused)[-1]
    assert refusal.rule == "misplaced"
    assert "it stays together with g1, which is on delta" in refusal.reason


def test_what_is_held_shows_why_it_is_held_by_now() -> None:
    """The record keeps why it was held at first: long after that is over, it would mislead."""
    world = world_of(
        nodes=THREE,
        policies={
            "g0": {"together_with": ["g1"], "nodes": ["alpha"]},
            "g1": {"nodes": ["alpha", "delta"]},
        },
    )
    world.kill("alpha")
    world.run(20.0)
    world.boot("alpha")
    world.start_decider("alpha")
    world.run(20.0)
    leader = world.deciders[world.leader() or ""]
    assert leader is not None
    (shown,) = [one for one in status(leader, world.now).groups if one.group == "g0"]
    assert shown.phase == "held"
    assert "its pulse is no longer heard" in world.record("g0").reason
    assert shown.reason.endswith("alpha: it stays together with g1, which is on delta")


def test_a_lost_host_takes_its_groups_over_together() -> None:
    world = world_of(nodes=THREE, policies={"g0": {"together_with": ["g1"]}, "g1": {}})
    world.kill("alpha")
    world.run(15.0)
    placed = owners(world)
    assert placed["g0"] == placed["g1"] != "alpha"
    assert phases(world) == {Phase.ACTIVE}


# --- dependencies ---------------------------------------------------------------------------


def starts(world: World, since: float = 0.0) -> list[str]:
    """Groups in the order in which their starts were ordered."""
    return [sent.group for sent in world.emitted(OrderSent, since) if sent.action == "start"]


def test_a_group_starts_after_the_one_it_requires() -> None:
    world = world_of(policies={"g0": {"requires": ["g1"]}, "g1": {"nodes": ["beta", "alpha"]}})
    assert phases(world) == {Phase.ACTIVE}
    assert starts(world) == ["g1", "g0"]
    decision = next(d for _, _, d in world.drafts if getattr(d.data, "group", "") == "g0")
    cause = next(d for _, _, d in world.drafts if d.id == decision.cause)
    assert cause.entity == "group/g1", "its cause is that what it waited for runs"


def test_after_a_lost_host_they_start_in_order_again() -> None:
    world = world_of(policies={"g0": {"requires": ["g1"]}, "g1": {}})
    lost = world.now
    world.kill("alpha")
    world.run(15.0)
    assert owners(world) == {"g0": "beta", "g1": "beta"}
    assert phases(world) == {Phase.ACTIVE}
    assert starts(world, lost) == ["g1", "g0"]


def test_what_requires_a_group_runs_on_while_that_is_moved() -> None:
    world = world_of(policies={"g0": {"requires": ["g1"]}, "g1": {}})
    epoch = world.record("g0").epoch
    assert isinstance(world.ask("switchover", "beta", "g1"), Begun)
    world.run(5.0)
    assert owners(world) == {"g0": "alpha", "g1": "beta"}
    assert world.record("g0").epoch == epoch


def test_a_required_group_is_not_stopped_below_what_requires_it() -> None:
    world = world_of(policies={"g0": {"requires": ["g1"]}, "g1": {}})
    reply = world.ask("stop", group="g1")
    assert isinstance(reply, Refused)
    assert reply.reason == "g0 requires it and runs: stop that first"
    for group in ("g0", "g1"):
        assert isinstance(world.ask("stop", group=group), Begun)
        world.run(3.0)
    reply = world.ask("start", group="g0")
    assert isinstance(reply, Refused)
    assert "requires g1" in reply.reason


def test_a_group_whose_requirement_is_down_waits_and_says_why() -> None:
    world = World(cluster(policies={"g0": {"requires": ["g1"]}, "g1": {"nodes": ["beta"]}}))
    world.hosts["beta"].start_fails = True
    world.run(20.0)
    assert world.record("g1").phase == Phase.HELD
    assert "g0" not in world.records
    refusal = next(r for r in world.emitted(DecisionRefused) if r.group == "g0")
    assert (refusal.rule, refusal.reason) == ("requires", "it requires g1, not active now")


# --- capacity -------------------------------------------------------------------------------


def test_a_node_is_never_overfilled_and_the_refusal_says_what_is_free() -> None:
    world = world_of(
        policies={f"g{n}": {"load": 4} for n in range(3)},
        of_nodes={"alpha": {"capacity": 8}, "beta": {"capacity": 8}},
    )
    assert owners(world) == {"g0": "alpha", "g1": "alpha", "g2": "beta"}
    reply = world.ask("switchover", "alpha", "g2")
    assert isinstance(reply, Refused)
    assert "of its capacity of 8 only 0 is free, and it takes 4" in reply.reason
    world.kill("alpha")
    world.run(15.0)
    held = [g for g in ("g0", "g1") if world.record(g).phase == Phase.HELD]
    assert len(held) == 1, "one fits, one does not"
    world.boot("alpha")
    world.run(10.0)
    assert phases(world) == {Phase.ACTIVE}


def test_two_decisions_of_one_moment_do_not_share_the_last_room() -> None:
    world = world_of(
        nodes=THREE,
        policies={"g0": {"load": 5}, "g1": {"load": 5}},
        of_nodes={name: {"capacity": 5 if name != "alpha" else 10} for name in THREE},
    )
    assert owners(world) == {"g0": "alpha", "g1": "alpha"}
    world.kill("alpha")
    world.run(15.0)
    assert sorted(filter(None, owners(world).values())) == ["beta", "delta"]


def test_whether_a_loss_could_be_borne_is_said_when_it_changes() -> None:
    world = world_of(
        policies={"g0": {"load": 4}, "g1": {"load": 4, "nodes": ["beta", "alpha"]}},
        of_nodes={"alpha": {"capacity": 8}, "beta": {"capacity": 7}},
    )
    said = [s for s in world.emitted(HealthSignal) if s.probe == "redundancy"]
    assert [(s.node, s.state) for s in said] == [("alpha", Health.DEGRADED)]
    assert "g0 would have no place" in said[0].reason
    leader = world.deciders[world.leader() or ""]
    assert leader is not None
    assert [loss.node for loss in status(leader, world.now).unbearable] == ["alpha"]
    assert isinstance(world.ask("stop", group="g1"), Begun)
    world.run(20.0)
    said = [s for s in world.emitted(HealthSignal) if s.probe == "redundancy"]
    assert [(s.node, s.state) for s in said[1:]] == [("alpha", Health.OK)]


@pytest.mark.parametrize("lost", ["alpha", "beta"])
def test_what_was_said_of_a_loss_is_what_happens(lost: str) -> None:
    world = world_of(
        policies={
            "g0": {"load": 3},
            "g1": {"load": 2, "nodes": ["beta", "alpha"]},
            "g2": {"load": 2, "apart_from": ["g1"]},
        },
        of_nodes={"alpha": {"capacity": 6}, "beta": {"capacity": 5}},
    )
    leader = world.deciders[world.leader() or ""]
    assert leader is not None
    told = {loss.node: loss.reason for loss in status(leader, world.now).unbearable}
    world.kill(lost)
    world.run(20.0)
    homeless = [g for g in world.records if world.record(g).phase == Phase.HELD]
    assert all(group in told.get(lost, "") for group in homeless)
    assert bool(homeless) == (lost in told)


def test_what_a_later_group_makes_room_for_is_decided_in_the_same_step() -> None:
    world = world_of(policies={"g0": {"nodes": ["beta"], "apart_from": ["g1"]}, "g1": {}})
    assert owners(world) == {"g0": "beta", "g1": "alpha"}
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    intent = Intent(
        id=world.mint(),
        step=world.mint(),
        kind=MoveKind.FAILOVER,
        target="beta",
        incident=world.mint(),
        cause=world.mint(),
    )
    g0, g1 = state.groups["g0"], state.groups["g1"]
    waits = replace(g0.record, phase=Phase.HELD, owner=None, boot=None)
    leaves = replace(g1.record, phase=Phase.FENCING, intent=intent)
    groups = {"g0": replace(g0, record=waits), "g1": replace(g1, record=leaves)}
    beta = state.nodes["beta"]
    assert beta.hands is not None
    stopped = [replace(one, state="stopped") for one in beta.hands.groups]
    nodes = {**state.nodes, "beta": replace(beta, hands=replace(beta.hands, groups=stopped))}
    state = replace(state, groups=groups, nodes=nodes)
    _, effects = decide(state, Tick(), world.now, world.mint)
    written = [effect.record for effect in effects if isinstance(effect, Write)]
    assert [(r.group, r.phase, r.owner) for r in written] == [
        ("g1", Phase.ACTIVE, "alpha"),
        ("g0", Phase.STARTING, "beta"),
    ]
