"""Maintenance, quarantine and failback, on virtual time."""

from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.config.window import parse
from holdfast.events import Health
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import (
    DecisionMade,
    DecisionRefused,
    FenceStarted,
    LeaseRevoked,
    MoveCompleted,
    MoveFailed,
)
from holdfast.events.policies import (
    MaintenanceBegan,
    MaintenanceEnded,
    QuarantineBegan,
    QuarantineEnded,
)
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider.calendar import open_windows
from holdfast.failover_decider.messages import LeadAsked, StandingSeen, Windows
from holdfast.failover_decider.status import status
from holdfast.ownership import Phase
from holdfast.wire import Begun, LeadRequest, MarkStatus, Refused
from tests.support.decider_world import World, cluster


@pytest.fixture
def world() -> World:
    """A cluster whose group runs on alpha, led by alpha."""
    return running()


def running(**made: Any) -> World:
    world = World(cluster(**made))
    world.run(15.0)
    assert world.record().owner == "alpha"
    return world


def marks(world: World) -> list[MarkStatus]:
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    return status(state, world.now).marks


# --- maintenance ----------------------------------------------------------------------------


def test_maintenance_is_stored_shown_and_ends_by_itself_with_an_event(world: World) -> None:
    reply = world.maintain("node", "alpha", seconds=90.0)
    assert isinstance(reply, Begun)
    world.run(1.0)
    (mark,) = marks(world)
    assert (mark.name, mark.reason, mark.operator) == ("alpha", "new memory", "ann")
    assert mark.left == pytest.approx(89.0, abs=0.2)
    (began,) = world.emitted(MaintenanceBegan)
    draft = next(d for _, _, d in world.drafts if d.data is began)
    assert draft.cause == reply.incident, "the request is its root"
    world.run(88.0)
    assert marks(world), "not a moment early"
    world.run(3.0)
    assert not marks(world)
    assert world.emitted(MaintenanceEnded)[0].reason == "its time is over"


def test_an_operator_ends_it_and_what_is_not_there_cannot_be_ended(world: World) -> None:
    assert isinstance(world.maintain("group", "g0", on=False), Refused)
    assert isinstance(world.maintain("group", "g7"), Refused)
    world.maintain("group", "g0")
    assert isinstance(world.maintain("group", "g0", on=False), Refused), "it is being stored"
    world.run(1.0)
    assert isinstance(world.maintain("group", "g0", on=False), Begun)
    world.run(1.0)
    assert world.emitted(MaintenanceEnded)[0].reason == "ann ended it"
    assert not marks(world)


@pytest.mark.parametrize("about", [("cluster", "w"), ("group", "g0"), ("node", "alpha")])
def test_a_failed_group_is_not_moved_in_maintenance_but_afterwards(
    world: World, about: tuple[str, str]
) -> None:
    world.maintain(*about)
    world.run(1.0)
    world.report("alpha", "failed")
    world.run(20.0)
    assert world.record().owner == "alpha"
    refusal = world.emitted(DecisionRefused)[-1]
    assert refusal.rule == "in_maintenance"
    assert "failed_at_owner would apply" in refusal.reason
    world.maintain(*about, on=False)
    world.run(5.0)
    assert world.record().owner == "beta"
    assert world.active_overlaps == []


@pytest.mark.parametrize("about", [("cluster", "w"), ("group", "g0"), ("node", "alpha")])
def test_a_host_lost_in_maintenance_is_fenced_and_taken_over_only_afterwards(
    world: World, about: tuple[str, str]
) -> None:
    world.maintain(*about)
    world.run(1.0)
    since = world.now
    world.hosts["alpha"].cut_off = True
    world.run(12.0)
    assert not [f for f in world.emitted(FenceStarted, since=since) if f.action == "off"]
    assert world.record().owner == "alpha"
    world.maintain(*about, on=False)
    world.run(20.0)
    assert [f for f in world.emitted(FenceStarted, since=since) if f.action == "off"]
    assert world.emitted(LeaseRevoked, since=since), "maintenance proves nothing"
    assert world.record().owner == "beta"
    assert world.active_overlaps == []


def test_a_fencing_that_was_begun_is_finished_under_the_same_rules(world: World) -> None:
    world.fence_says["alpha"] = lambda _action: ("failed", "unreachable")
    world.hosts["alpha"].cut_off = True
    world.run(15.0)
    assert world.record().phase == Phase.FENCING
    world.maintain("cluster", "w")
    world.run(30.0)
    assert world.record().phase == Phase.FENCING, "without a proof nothing starts elsewhere"
    del world.fence_says["alpha"]
    world.run(70.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert world.active_overlaps == []


def test_a_node_in_maintenance_is_no_target_but_a_switchover_may_be_rolled_back_to_it(
    world: World,
) -> None:
    world.maintain("node", "beta")
    world.run(1.0)
    reply = world.ask("switchover", "beta")
    assert isinstance(reply, Refused)
    assert "it is in maintenance: new memory" in reply.reason
    world.maintain("node", "beta", on=False)
    world.run(1.0)
    world.maintain("node", "alpha")
    world.run(1.0)
    world.hosts["beta"].start_fails = True
    assert isinstance(world.ask("switchover", "beta"), Begun)
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)


def test_the_hands_are_told_of_groups_in_maintenance_and_of_its_end(world: World) -> None:
    assert not world.told
    world.maintain("group", "g0")
    world.run(5.0)
    assert {tell.node for tell in world.told} == {"alpha", "beta"}
    assert all(tell.groups == ["g0"] for tell in world.told)
    assert world.told[-1].not_after == pytest.approx(world.now + 30, abs=4), "it ends unheard"
    world.maintain("group", "g0", on=False)
    world.run(1.0)
    assert [tell.groups for tell in world.told[-2:]] == [[], []]
    told = len(world.told)
    world.run(10.0)
    assert len(world.told) == told


def test_maintenance_survives_leaders_and_ends_late_rather_than_early(world: World) -> None:
    world.maintain("group", "g0", seconds=150.0)
    began = world.now
    for place in ("alpha", "gamma", "beta", "alpha", "gamma"):
        world.run(15.0)
        assert marks(world)
        world.start_decider(place)
        world.run(10.0)
    assert marks(world)
    world.run(60.0)
    assert not marks(world)
    ended = next(at for at, _, d in world.drafts if isinstance(d.data, MaintenanceEnded))
    assert 150.0 <= ended - began <= 150.0 + 5 * 16.0


def test_nonsense_in_place_of_the_standing_orders_is_written_over(world: World) -> None:
    world.maintain("group", "g0")
    world.run(1.0)
    stored, revision = world.standing
    world.standing = (stored, revision + 1000)
    for place in world.deciders:
        world.feed(place, StandingSeen(None, revision + 1000))
    world.run(2.0)
    assert world.standing[1] > revision + 1000
    assert [mark.name for mark in marks(world)] == ["g0"]


# --- quarantine -----------------------------------------------------------------------------


def flap(world: World, times: int) -> None:
    """Let the group fail wherever it runs."""
    for _ in range(times):
        owner = world.record().owner
        assert owner is not None
        world.report(owner, "failed")
        world.run(5.0)


def test_a_group_that_moves_too_often_is_quarantined_until_it_is_cleared() -> None:
    world = running(policies={"g0": {"max_moves": 3, "moves_window": 60.0}})
    flap(world, 4)
    owner = world.record().owner
    (began,) = world.emitted(QuarantineBegan)
    assert (began.scope, began.name, began.lasts) == ("group", "g0", None)
    assert began.reason == "it moved 3 times within 60 s"
    assert [(m.kind, m.name) for m in marks(world)] == [("quarantine", "g0")]
    world.run(120.0)
    assert world.record().owner == owner, "no time frees it"
    assert len(world.emitted(QuarantineBegan)) == 1
    assert isinstance(world.clear("group", "g0"), Begun)
    world.run(5.0)
    assert world.record().owner != owner
    assert world.emitted(QuarantineEnded)[0].reason == "ann cleared it"


def test_what_fails_in_maintenance_leads_to_no_quarantine() -> None:
    """Else the group would stay where it failed once the maintenance is over."""
    world = World(cluster(policies={"g0": {"max_moves": 1}}))
    world.run(20.0)
    world.maintain("cluster", "w", seconds=700.0)
    world.run(1.0)
    world.report("alpha", "failed")
    world.run(600.0)
    refused = world.emitted(DecisionRefused)[-1]
    assert refused.rule == "in_maintenance"
    assert world.emitted(QuarantineBegan) == []
    world.run(110.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_quarantine_with_a_time_ends_by_itself() -> None:
    world = running(policies={"g0": {"max_moves": 2, "moves_window": 20.0, "quarantine": 40.0}})
    flap(world, 3)
    owner = world.record().owner
    assert marks(world)
    world.run(45.0)
    assert not marks(world)
    assert world.record().owner != owner, "it is tried again"


def test_a_change_of_leader_forgets_no_moves() -> None:
    world = running(policies={"g0": {"max_moves": 3}})
    flap(world, 2)
    world.feed("alpha", LeadAsked(LeadRequest(place="gamma", operator="ann")))
    world.run(10.0)
    assert world.leader() == "gamma"
    flap(world, 2)
    assert world.emitted(QuarantineBegan)


def test_a_quarantined_group_still_leaves_a_lost_host() -> None:
    world = running(policies={"g0": {"max_moves": 2}})
    flap(world, 3)
    owner = world.record().owner
    assert owner is not None
    assert marks(world)
    world.kill(owner)
    world.run(20.0)
    assert world.record().owner not in (owner, None)
    assert world.record().phase == Phase.ACTIVE


def test_a_node_on_which_much_fails_becomes_the_last_choice() -> None:
    policies: dict[str, Any] = {f"g{n}": {"max_moves": 100} for n in range(3)}
    world = running(
        policies=policies, nodes=("alpha", "beta", "delta"), of_nodes={"alpha": {"max_failures": 3}}
    )
    for group in policies:
        world.report("alpha", "failed", group)
    world.run(5.0)
    (began,) = world.emitted(QuarantineBegan)
    assert (began.scope, began.name) == ("node", "alpha")
    assert began.reason == "3 failures within 3600 s: g0 failed, g1 failed, g2 failed"
    world.report("beta", "failed", "g0")
    world.run(5.0)
    made = [d for d in world.emitted(DecisionMade) if d.group == "g0"][-1]
    assert made.target == "delta"
    assert next(a for a in made.alternatives if a.choice == "alpha").rejected_because.startswith(
        "it is in quarantine"
    )
    assert isinstance(world.clear("node", "alpha"), Begun)
    world.run(1.0)
    assert not marks(world)
    assert isinstance(world.clear("node", "alpha"), Refused), "nothing is held against it"


def test_the_last_good_node_is_never_quarantined() -> None:
    world = running(of_nodes={"alpha": {"max_failures": 1}, "beta": {"max_failures": 1}})
    flap(world, 3)
    began = world.emitted(QuarantineBegan)
    assert [b.name for b in began] == ["alpha"]


# --- failback -------------------------------------------------------------------------------


def lose_and_return(world: World, after: float = 0.0) -> None:
    """Alpha loses power, its group moves, and it comes back."""
    world.kill("alpha")
    world.run(20.0)
    assert world.record().owner == "beta"
    world.boot("alpha")
    world.start_decider("alpha")
    world.run(after)


def test_nothing_moves_back_by_itself_unless_the_file_says_so(world: World) -> None:
    lose_and_return(world, after=60.0)
    assert world.record().owner == "beta"


def test_automatic_failback_waits_until_the_preferred_node_is_well_for_long_enough() -> None:
    world = running(policies={"g0": {"failback": "automatic", "failback_after": 40.0}})
    lose_and_return(world)
    back = world.now
    world.run(35.0)
    assert world.record().owner == "beta"
    world.run(20.0)
    assert world.record().owner == "alpha"
    move = world.emitted(MoveCompleted)[-1]
    assert (move.kind, move.node) == ("failback", "alpha")
    at = next(t for t, _, d in world.drafts if d.data is move)
    assert at - back >= 40.0
    assert world.active_overlaps == []


def test_a_failback_whose_target_fails_is_rolled_back_and_not_tried_again() -> None:
    world = running(policies={"g0": {"failback": "automatic", "failback_after": 20.0}})
    lose_and_return(world)
    world.hosts["alpha"].start_fails = True
    world.run(40.0)
    assert world.record().owner == "beta"
    assert world.record().phase == Phase.ACTIVE
    assert len(world.emitted(MoveFailed)) == 1
    world.hosts["alpha"].start_fails = False
    world.run(60.0)
    assert world.record().owner == "beta", "that boot of alpha is not trusted with it again"
    assert isinstance(world.clear("group", "g0"), Begun)
    world.run(30.0)
    assert world.record().owner == "alpha"


def test_a_group_that_failed_on_a_node_does_not_go_back_there() -> None:
    world = running(policies={"g0": {"failback": "automatic", "failback_after": 10.0}})
    flap(world, 1)
    world.run(60.0)
    assert world.record().owner == "beta"


def test_a_group_that_came_back_too_often_stays_where_it_is_and_is_moved_if_it_fails() -> None:
    """It runs well: what its host did to it is no reason to leave it alone once it fails itself."""
    policy = {
        "failback": "automatic",
        "failback_after": 10.0,
        "max_moves": 2,
        "moves_window": 120.0,
    }
    world = running(policies={"g0": policy})
    lose_and_return(world, after=30.0)
    assert world.record().owner == "alpha"
    lose_and_return(world, after=30.0)
    assert world.record().owner == "beta"
    assert world.emitted(DecisionRefused)[-1].rule == "moved_too_often"
    assert world.emitted(QuarantineBegan) == []
    world.run(60.0)
    assert world.record().owner == "alpha", "the window is over"
    world.run(125.0)
    world.report("alpha", "failed")
    world.run(10.0)
    assert world.record().owner == "beta"


def test_a_window_lets_it_begin_only_while_it_is_open() -> None:
    policy = {
        "failback": "automatic",
        "failback_after": 10.0,
        "failback_window": "Sat 02:00-04:00",
    }
    world = running(policies={"g0": policy})
    lose_and_return(world, after=40.0)
    assert world.record().owner == "beta"
    for place in world.deciders:
        world.feed(place, Windows(frozenset({"g0"})))
    world.run(5.0)
    assert world.record().owner == "alpha"


def test_with_more_hosts_an_orderly_move_is_rolled_back_to_where_it_was() -> None:
    nodes = ("alpha", "beta", "delta")
    world = running(nodes=nodes, policies={"g0": {"nodes": list(nodes)}})
    world.ask("switchover", "delta")
    world.run(5.0)
    assert world.record().owner == "delta"
    world.hosts["beta"].start_fails = True
    world.ask("switchover", "beta")
    world.run(5.0)
    assert world.record().owner == "delta", "not to alpha, which is preferred"


def test_active_on_both_hosts_one_is_lost_and_everything_goes_back() -> None:
    back: dict[str, Any] = {"failback": "automatic", "failback_after": 10.0}
    reverse = {**back, "nodes": ["beta", "alpha"]}
    world = running(policies={"g0": back, "g1": reverse, "g2": back, "g3": reverse})
    spread = {"g0": "alpha", "g1": "beta", "g2": "alpha", "g3": "beta"}
    assert {g: r.owner for g, (r, _) in world.records.items()} == spread
    world.kill("beta")
    world.run(20.0)
    assert {r.owner for r, _ in world.records.values()} == {"alpha"}
    world.boot("beta")
    world.start_decider("beta")
    world.run(40.0)
    assert {g: r.owner for g, (r, _) in world.records.items()} == spread
    assert world.active_overlaps == []
    assert not [s for s in world.emitted(HealthSignal) if s.state is Health.FAILED][2:]


# --- the calendar ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("02:00-04:00", "2026-03-02T02:00", True),
        ("02:00-04:00", "2026-03-02T04:00", False),
        ("Mon-Fri 02:00-04:00", "2026-03-07T03:00", False),
        ("Sat,Sun 02:00-04:00", "2026-03-07T03:00", True),
        ("Sun 22:00-04:00", "2026-03-02T03:59", True),
        ("Sun 22:00-04:00", "2026-03-01T03:59", False),
        ("Fri-Mon 00:00-24:00", "2026-03-02T23:59", True),
    ],
)
def test_windows(text: str, moment: str, expected: bool) -> None:
    window = parse(text)
    assert window is not None
    assert window.open_at(datetime.fromisoformat(moment)) is expected


@pytest.mark.parametrize(
    "text", ["", "2-4", "02:00", "Mo 02:00-04:00", "24:00-25:00", "02:60-03:00"]
)
def test_what_is_no_window(text: str) -> None:
    assert parse(text) is None


def test_a_window_is_meant_in_the_clusters_zone() -> None:
    policy = {"failback": "automatic", "failback_window": "02:00-04:00"}
    file = cluster(policies={"g0": policy}, time_zone="Europe/Berlin")
    assert open_windows(file, datetime(2026, 1, 5, 1, 30, tzinfo=UTC)) == {"g0"}
    assert open_windows(file, datetime(2026, 1, 5, 3, 30, tzinfo=UTC)) == set()
    assert open_windows(file, datetime(2026, 7, 6, 0, 30, tzinfo=UTC)) == {"g0"}, "summer"


def test_a_request_that_is_refused_changes_nothing_and_leaves_no_root(world: World) -> None:
    before = len(world.emitted(OperatorRequest))
    assert isinstance(world.clear("group", "g0"), Refused)
    assert len(world.emitted(OperatorRequest)) == before
