"""The decider's core, with real voters, on virtual time: what a group goes through."""

from itertools import pairwise

import pytest

from holdfast.events import Health
from holdfast.events.health import HealthSignal, NodeCleared
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    FenceFinished,
    FenceStarted,
    GroupHeld,
    LeaderElected,
    LeaseRevoked,
    MoveCompleted,
    MoveFailed,
)
from holdfast.failover_decider.core import decide
from holdfast.failover_decider.messages import OrderAnswered, Recording, Write
from holdfast.ownership import Phase
from holdfast.wire import Order, OrderReply
from tests.support.decider_world import TIMING, World, cluster


@pytest.fixture
def world() -> World:
    """A cluster whose group runs on alpha, led by alpha."""
    world = World(cluster())
    world.run(5.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.record().owner == "alpha"
    return world


def test_first_start_goes_to_the_preferred_node(world: World) -> None:
    assert world.record().epoch == 1
    (decision,) = world.emitted(DecisionMade)
    assert decision.rule == "start_stopped"
    assert [a.choice for a in decision.alternatives] == ["beta"]
    assert world.leader() == "alpha"


@pytest.mark.parametrize(("state", "owner"), [("unknown", "alpha"), ("failed", None)])
def test_a_group_of_which_nobody_knows_that_it_failed_may_go_back(
    world: World, state: str, owner: str | None
) -> None:
    """It does not start where it was moved to: better there again than nowhere."""
    world.hosts["beta"].start_fails = True
    world.report("alpha", state)
    world.run(30.0)
    assert (world.record().owner, world.record().phase == Phase.ACTIVE) == (owner, bool(owner))


def test_a_quiet_cluster_does_nothing(world: World) -> None:
    before = len(world.drafts)
    world.run(120.0)
    assert len(world.drafts) == before


def test_power_loss_of_owner_and_leader_is_taken_over_at_fence_proof(world: World) -> None:
    lost = world.now
    world.kill("alpha")
    world.run(4.0)
    assert world.record().owner == "beta"
    assert world.record().phase == Phase.ACTIVE
    assert world.record().epoch == 2
    (move,) = world.emitted(MoveCompleted, since=lost)
    assert move.kind == "failover"
    at = next(t for t, _, d in world.drafts if d.data is move)
    assert at - lost < TIMING.suspect_after + 1.5
    assert world.emitted(LeaderElected, since=lost)[0].proof == "its host is proven off"


def test_a_stalled_store_delays_the_decision_and_does_not_repeat_it(world: World) -> None:
    lost = world.now
    world.store_stalled_until = lost + 8.0
    world.kill("alpha")
    world.run(20.0)
    assert world.record().owner == "beta"
    assert len(world.emitted(DecisionMade, since=lost)) == 1
    (move,) = world.emitted(MoveCompleted, since=lost)
    assert move.phases["decide"] > 5.0, "where the time went is said"
    assert move.total == pytest.approx(sum(move.phases.values()))


def test_a_leader_that_steps_down_forgets_what_it_did_not_store(world: World) -> None:
    world.store_stalled_until = world.now + 30.0
    world.report("alpha", "failed")
    world.run(1.0)
    world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")
    world.hosts["alpha"].cut_off = True
    world.run(5.0)
    assert world.leader() == "beta"
    world.hosts["alpha"].cut_off = False
    alpha = world.deciders["alpha"]
    assert alpha is not None
    assert all(view.writing is None for view in alpha.groups.values())


def test_a_silent_voter_moves_nothing_and_is_said_once(world: World) -> None:
    since = world.now
    world.deciders["gamma"] = None
    world.run(30.0)
    (signal,) = [s for s in world.emitted(HealthSignal, since=since) if s.probe == "vote"]
    assert (signal.node, signal.state) == ("gamma", Health.FAILED)
    assert not world.emitted(DecisionMade, since=since)
    world.start_decider("gamma")
    world.run(5.0)
    said = [s.state for s in world.emitted(HealthSignal, since=since) if s.probe == "vote"]
    assert said == [Health.FAILED, Health.OK]


def test_a_group_that_nobody_can_start_says_why() -> None:
    world = World(cluster())
    for host in world.hosts.values():
        host.alive = False
    world.run(30.0)
    (refusal,) = world.emitted(DecisionRefused)
    assert refusal.rule == "start_stopped"
    assert "alpha: it has not been heard" in refusal.reason


def test_a_stall_of_five_seconds_is_within_the_standard_profile() -> None:
    left = TIMING.ttl - TIMING.margin - TIMING.stop_before - TIMING.renew_every
    waking = 0.6  # what a host that wakes was seen to need for its bus and its next renewal
    assert left >= 5.0 + waking


def test_after_a_pause_an_old_answer_finds_no_leader(world: World) -> None:
    world.report("alpha", "failed")
    world.run(0.3)
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    order = Order(
        action="stop",
        group="g0",
        node="alpha",
        boot="boot-alpha-1",
        epoch=1,
        intent=state.groups["g0"].record.intent.step if state.groups["g0"].record.intent else "",
        incident=world.mint(),
        cause=world.mint(),
        not_after=world.now,
        leader_term=1,
    )
    reply = OrderReply(intent=order.intent, accepted=True, done=True)
    late = world.now + TIMING.leader_ttl + 1.0
    after, effects = decide(state, OrderAnswered(order, reply), late, world.mint)
    assert not after.leading
    assert not [effect for effect in effects if isinstance(effect, Write)]


def test_a_short_stall_moves_nothing(world: World) -> None:
    world.hosts["alpha"].cut_off = True
    world.run(4.5)
    world.hosts["alpha"].cut_off = False
    since = world.now
    world.run(10.0)
    assert world.record().owner == "alpha"
    assert world.record().epoch == 1
    assert not world.emitted(DecisionMade, since=since)


def test_silence_past_ttl_is_fenced_off_then_failed_over(world: World) -> None:
    world.hosts["alpha"].cut_off = True
    world.run(TIMING.ttl + 4.0)
    assert not world.hosts["alpha"].alive, "the fence device switched it off"
    assert world.record().owner == "beta"
    assert world.emitted(LeaseRevoked)[-1].proof == "fenced_off"
    rules = [d.rule for d in world.emitted(DecisionMade)]
    assert rules[-1] == "owner_silent_past_ttl"


@pytest.mark.parametrize("lie", ["failed", "on"])
def test_a_fence_that_does_not_prove_off_moves_nothing(world: World, lie: str) -> None:
    world.fence_says["alpha"] = lambda _action: (lie, "no answer")
    world.kill("alpha")
    world.run(120.0)
    assert world.record().owner == "alpha"
    assert world.record().phase == Phase.FENCING
    assert world.hosts["beta"].groups["g0"].state == "stopped"
    assert all(f.outcome != "off" for f in world.emitted(FenceFinished))
    (refusal,) = world.emitted(DecisionRefused)
    assert (refusal.rule, refusal.reason) == (
        "fence_unproven",
        "alpha may be alive: off: no answer",
    )


def test_lease_only_waits_for_the_majority(world: World) -> None:
    world = World(cluster(fencing="lease-only"))
    world.run(5.0)
    lost = world.now
    world.kill("alpha")
    world.run(TIMING.ttl - 0.5)
    assert world.record().owner == "alpha"
    world.run(6.0)
    assert world.record().owner == "beta"
    (revoked,) = world.emitted(LeaseRevoked, since=lost)
    assert revoked.proof == "lease_expired"


def test_lease_only_partition_never_overlaps_and_the_node_returns(world: World) -> None:
    world = World(cluster(fencing="lease-only"))
    world.run(5.0)
    world.hosts["alpha"].cut_off = True
    world.run(20.0)
    assert world.record().owner == "beta"
    world.hosts["alpha"].cut_off = False
    world.run(20.0)
    assert world.active_overlaps == []
    world.kill("beta")
    world.run(20.0)
    assert world.record().owner == "alpha", "the node that came back is eligible again"
    assert world.active_overlaps == []


def test_frozen_hands_are_fenced_though_the_monitor_beats(world: World) -> None:
    world.hosts["alpha"].frozen = True
    world.run(TIMING.ttl - 1.0)
    assert world.record().phase == Phase.ACTIVE
    world.run(5.0)
    assert not world.hosts["alpha"].alive, "nothing but a fence could stop what it runs"
    assert world.record().owner == "beta"
    assert world.active_overlaps == []


def test_frozen_hands_are_found_by_a_leader_that_never_heard_them(world: World) -> None:
    world.hosts["alpha"].frozen = True
    world.run(1.0)
    for name in ("alpha", "beta", "gamma"):
        world.start_decider(name)
    world.run(TIMING.leader_ttl + TIMING.ttl + 4.0)
    assert world.record().owner == "beta"
    assert world.active_overlaps == []


def test_frozen_hands_without_a_fence_device_move_nothing() -> None:
    world = World(cluster(fencing="lease-only"))
    world.run(5.0)
    world.hosts["alpha"].frozen = True
    world.run(60.0)
    assert world.record().owner == "alpha"
    (refusal,) = world.emitted(DecisionRefused)
    assert refusal.rule == "hands_silent"


def test_a_leader_that_cannot_record_leaves_the_lead_to_others(world: World) -> None:
    world.feed("alpha", Recording(possible=False))
    world.run(3.0)
    assert world.leader() == "beta"
    world.kill("beta")
    world.run(3.0)
    assert world.leader() == "gamma", "a decider that cannot record does not stand"


def test_a_candidate_that_cannot_record_is_not_elected_by_votes_under_way(world: World) -> None:
    world.kill("alpha")
    while (beta := world.deciders["beta"]) and not beta.standing_since:
        world.run(0.001)
    world.feed("beta", Recording(possible=False))
    world.run(5.0)
    assert world.leader() == "gamma"


def test_who_cannot_record_suspects_nobody_and_forgets_whom_it_suspected(world: World) -> None:
    world.hosts["alpha"].cut_off = True
    world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")

    def suspects() -> bool:
        beta = world.deciders["beta"]
        return beta is not None and beta.nodes["alpha"].suspicion is not None

    world.run(2.5)
    assert suspects()
    world.feed("beta", Recording(possible=False))
    world.run(1.0)
    assert not suspects(), "the event that said so may not be on the record"


def test_an_order_is_not_repeated_before_its_time(world: World) -> None:
    sent: list[float] = []
    world.hosts["alpha"].stop_fails = True
    world._order_arrives = lambda *_: sent.append(world.now)  # type: ignore[method-assign]
    world.report("alpha", "failed")
    world.run(3.0)
    assert len(sent) > 5, "nobody answers, so it is repeated"
    assert min(b - a for a, b in pairwise(sent)) > 0.29


def test_escalation_stops_cleanly_then_starts_elsewhere(world: World) -> None:
    world.report("alpha", "failed")
    world.run(3.0)
    assert world.record().owner == "beta"
    decision = world.emitted(DecisionMade)[-1]
    assert (decision.rule, decision.kind) == ("failed_at_owner", "relocate")
    assert not world.emitted(FenceFinished)


def test_a_failed_stop_is_never_taken_for_stopped(world: World) -> None:
    world.hosts["alpha"].stop_fails = True
    world.report("alpha", "failed")
    world.run(6.0)
    assert world.emitted(MoveFailed)[0].step == "stop"
    assert not world.hosts["alpha"].alive, "it was fenced"
    assert world.record().owner == "beta"
    assert world.active_overlaps == []


def test_after_a_failed_stop_no_pulse_calls_the_fence_off_or_hurries_it(world: World) -> None:
    world.hosts["alpha"].stop_fails = True
    world.fence_says["alpha"] = lambda action: ("failed", "the device does not answer")
    world.report("alpha", "failed")
    world.run(30.0)
    assert world.hosts["alpha"].alive, "it beats all the while"
    assert not world.emitted(NodeCleared)
    tried = [run for run in world.emitted(FenceStarted) if run.action == "off"]
    assert 2 < len(tried) < 6, "again and again, further and further apart"
    assert world.record().owner == "alpha"
    assert world.record().phase == Phase.FENCING


def test_a_failed_stop_without_fence_device_holds_the_group() -> None:
    world = World(cluster(fencing="lease-only"))
    world.run(5.0)
    world.hosts["alpha"].stop_fails = True
    world.report("alpha", "failed")
    world.run(10.0)
    assert world.record().phase == Phase.HELD
    assert world.record().owner == "alpha"
    assert "no fence device" in world.emitted(GroupHeld)[0].reason


def test_a_failed_start_is_cleaned_up_and_tried_elsewhere() -> None:
    world = World(cluster())
    world.hosts["alpha"].start_fails = True
    world.run(6.0)
    assert [f.step for f in world.emitted(MoveFailed)] == ["start"]
    assert world.hosts["alpha"].groups["g0"].state == "stopped"
    assert world.record().owner == "beta"
    assert world.record().phase == Phase.ACTIVE


@pytest.mark.parametrize(("ends", "phase"), [(1, Phase.ACTIVE), (2, Phase.HELD)])
def test_a_start_that_ended_with_the_lease_is_tried_again_once(ends: int, phase: Phase) -> None:
    """It says nothing about the group; and there may be no other node."""
    world = World(cluster())
    world.kill("alpha")
    world.hosts["beta"].lease_ends_starts = ends
    world.run(60.0)
    assert [failed.node for failed in world.emitted(MoveFailed)] == ["beta"] * ends
    assert world.record().phase == phase
    assert world.active_overlaps == []


def test_a_group_that_fails_everywhere_is_held_until_a_node_reboots(world: World) -> None:
    world.hosts["beta"].start_fails = True
    world.report("alpha", "failed")
    world.run(6.0)
    assert world.record().phase == Phase.HELD
    assert world.record().owner is None
    assert "already failed there" in world.emitted(GroupHeld)[0].reason
    world.boot("alpha")
    world.run(TIMING.ttl + 4.0)
    assert world.record().owner == "alpha"
    assert world.record().phase == Phase.ACTIVE


def test_no_other_node_refuses_with_the_reason_once(world: World) -> None:
    world.kill("beta")
    world.run(3.0)
    world.report("alpha", "failed")
    world.run(30.0)
    (refusal,) = [r for r in world.emitted(DecisionRefused) if r.rule == "no_other_node"]
    assert "beta" in refusal.reason
    assert world.record().owner == "alpha"


def test_the_owner_reboots_by_itself(world: World) -> None:
    since = world.now
    world.boot("alpha")
    world.run(10.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.record().epoch == 2
    assert world.emitted(DecisionMade, since=since)[0].rule == "owner_rebooted"


@pytest.mark.parametrize("delay", [0.02 * n for n in range(60)])
def test_the_leader_dies_at_any_moment_of_a_move(delay: float) -> None:
    world = World(cluster())
    world.run(5.0)
    world.report("alpha", "failed")
    world.run(delay)
    leader = world.leader()
    assert leader is not None
    world.start_decider(leader)  # killed and restarted: memory gone, records and votes kept
    world.run(15.0)
    assert world.record().phase == Phase.ACTIVE
    assert world.record().owner == "beta"
    assert world.record().epoch == 2
    assert world.active_overlaps == []


def test_every_action_descends_from_a_signal(world: World) -> None:
    world.kill("alpha")
    world.run(10.0)
    drafts = {d.id: d for _, _, d in world.drafts}
    for draft in drafts.values():
        if draft.cause is not None:
            assert draft.cause in drafts, f"{draft.data} has an unknown cause"
    roots = {type(d.data).__name__ for d in drafts.values() if d.cause is None}
    assert roots <= {"HealthSignal", "LeaderElected"}


def test_two_leaders_never(world: World) -> None:
    for _ in range(20):
        world.hosts["alpha"].cut_off = not world.hosts["alpha"].cut_off
        world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")
        for _ in range(30):
            world.run(0.1)
            world.leader()  # asserts that at most one believes it leads
    assert world.active_overlaps == []
