"""The decider's core: what counts as a fence proof, and when nothing is fenced at all."""

import msgspec
import pytest

from holdfast.events.fields import Health
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import (
    DecisionRefused,
    FenceStarted,
    LeaseRevoked,
    MoveKind,
)
from holdfast.events.system import OperatorRequest
from holdfast.failover_decider.fencing import stands
from holdfast.failover_decider.messages import (
    FenceDone,
    GroupAsked,
    PulseHeard,
    RecordSeen,
    RunFence,
)
from holdfast.failover_decider.patience import LOOK_AGAIN_AT_MOST
from holdfast.failover_decider.state import Fencing, Suspicion, Trail
from holdfast.ownership import Intent, Phase
from holdfast.structs import replace
from holdfast.wire import (
    Begun,
    GroupRequest,
    MonitorPulse,
    Refused,
    WatchdogReport,
)
from tests.support.decider_world import TIMING, World, cluster

ARMED = WatchdogReport(armed=True, timeout=6.0)
IDLE = WatchdogReport(armed=False, timeout=6.0)


def world_with(watchdog: WatchdogReport | None, *, device: bool = False) -> World:
    """The group runs on alpha; the hosts say this of their watchdogs."""
    world = World(cluster(device=device, watchdog=watchdog is not None))
    for host in world.hosts.values():
        host.watchdog = watchdog
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "alpha")
    return world


def test_an_armed_watchdog_is_a_proof_when_the_ttl_has_passed() -> None:
    world = world_with(ARMED)
    lost = world.now
    world.kill("alpha")
    world.run(TIMING.ttl - 0.5)
    assert world.record().owner == "alpha"
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    (revoked,) = world.emitted(LeaseRevoked, since=lost)
    assert revoked.proof == "watchdog_expired"
    assert world.emitted(FenceStarted) == []


@pytest.mark.parametrize("said", [IDLE, None, WatchdogReport(armed=True, timeout=6.5)])
def test_silence_without_an_armed_watchdog_proves_nothing(said: WatchdogReport | None) -> None:
    world = world_with(said)
    world.kill("alpha")
    world.run(120.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.FENCING)
    refusals = [r.rule for r in world.emitted(DecisionRefused)]
    assert refusals.count("fence_unproven") == 1
    world.boot("alpha")
    world.start_decider("alpha")
    world.run(15.0)
    assert world.record().phase == Phase.ACTIVE, "its new boot is the proof"


def test_an_armed_watchdog_of_an_earlier_epoch_proves_nothing() -> None:
    world = world_with(ARMED)
    report = world.hosts["alpha"].groups["g0"]
    world.hosts["alpha"].groups["g0"] = type(report)(group="g0", epoch=0, state="active")
    world.deaf.add("alpha")  # no order to put that right reaches it
    world.hosts["beta"].alive = False  # nor is there another place to go to, for now
    world.run(0.5)
    world.kill("alpha")
    world.run(60.0)
    assert world.emitted(LeaseRevoked) == []


def test_a_watchdog_steps_in_for_a_fence_device_that_fails() -> None:
    world = world_with(ARMED, device=True)
    world.fence_says["alpha"] = lambda action: ("failed", "the board has no power either")
    world.kill("alpha")
    world.run(15.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    assert [r.proof for r in world.emitted(LeaseRevoked)] == ["watchdog_expired"]


def test_a_monitor_that_beats_on_denies_that_a_watchdog_has_acted() -> None:
    world = world_with(ARMED)
    world.kill("beta")
    world.boot("beta")
    world.hosts["beta"].watchdog = ARMED
    world.hosts["alpha"].frozen = True
    world.run(60.0)
    assert world.record().owner == "alpha"
    said = [r.reason for r in world.emitted(DecisionRefused) if r.rule == "hands_silent"]
    assert len(said) == 1
    assert "its watchdog has not ended it" in said[0]


def watchdog_signals(world: World) -> list[Health]:
    signals = world.emitted(HealthSignal)
    return [s.state for s in signals if (s.node, s.probe) == ("alpha", "watchdog")]


def test_a_watchdog_that_failed_once_is_no_proof_once_the_whole_node_is_silent() -> None:
    """Nobody ended what runs there, and the node may be cut off only."""
    world = world_with(ARMED)
    world.hosts["alpha"].frozen = True
    world.run(TIMING.ttl + 2 * TIMING.suspect_after + 1.0)
    assert watchdog_signals(world) == [Health.FAILED]
    world.hosts["alpha"].cut_off = True
    world.run(60.0)
    assert world.record().owner == "alpha"
    assert world.active_overlaps == []
    (said,) = [r.reason for r in world.emitted(DecisionRefused) if r.rule == "fence_unproven"]
    assert "its watchdog" in said
    world.kill("alpha")
    assert isinstance(world.vouch("confirm", "alpha"), Begun)
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def test_a_leader_elected_later_knows_of_a_watchdog_that_failed() -> None:
    world = world_with(ARMED)
    world.hosts["alpha"].frozen = True
    world.run(TIMING.ttl + 2 * TIMING.suspect_after + 1.0)
    leader = world.leader()
    assert leader is not None
    world.deciders[leader] = None
    world.run(10.0)
    assert world.leader() not in (None, leader)
    world.start_decider(leader)
    world.hosts["alpha"].cut_off = True
    world.run(60.0)
    assert world.record().owner == "alpha"


def test_hands_that_are_heard_again_vouch_for_their_watchdog_anew() -> None:
    world = world_with(ARMED)
    world.hosts["alpha"].frozen = True
    world.run(30.0)
    world.hosts["alpha"].frozen = False
    world.run(15.0)
    assert watchdog_signals(world) == [Health.FAILED, Health.UNKNOWN]
    assert isinstance(world.ask("switchover", "alpha"), Begun)
    world.run(5.0)
    assert (world.record().phase, world.record().owner) == (Phase.ACTIVE, "alpha")
    lost = world.now
    world.kill("alpha")
    world.run(30.0)
    assert [revoked.proof for revoked in world.emitted(LeaseRevoked, lost)] == ["watchdog_expired"]


def test_a_late_pulse_of_a_monitor_says_nothing_against_a_watchdog() -> None:
    """Sent before the watchdog acted, and held back on its way."""
    world = world_with(ARMED)
    late = MonitorPulse(node="alpha", boot="boot-alpha-1", now=world.now)
    world.kill("alpha")
    world.run(TIMING.ttl - 0.2)
    for name in ("beta", "gamma"):
        world.feed(name, PulseHeard(late))
    world.run(30.0)
    assert [revoked.proof for revoked in world.emitted(LeaseRevoked)] == ["watchdog_expired"]
    assert watchdog_signals(world) == []


def test_an_operators_word_is_a_proof_for_a_node_that_is_silent() -> None:
    world = world_with(IDLE)
    assert isinstance(world.vouch("confirm", "alpha"), Refused)
    world.kill("alpha")
    world.run(3.0)
    early = world.vouch("confirm", "alpha")
    assert isinstance(early, Refused)
    assert "switch it off first" in early.reason
    world.run(10.0)
    assert isinstance(world.vouch("confirm", "alpha", boot="boot-alpha-0"), Refused)
    assert world.record().owner == "alpha"
    assert isinstance(world.vouch("confirm", "alpha"), Begun)
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)
    (revoked,) = world.emitted(LeaseRevoked)
    assert (revoked.proof, "ann vouches" in revoked.proof_detail) == ("operator_word", True)
    asked = world.emitted(OperatorRequest)[-1]
    assert asked.arguments["key"] == "UKEY"
    assert asked.signature == "UKEY's"
    assert "boot-alpha-1" in asked.signed


@pytest.fixture
def two_owners() -> World:
    """g0 runs on alpha, g1 on beta; the hands of both freeze, so both would have to be fenced."""
    world = World(cluster(groups=2))
    world.run(5.0)
    leader = world.leader()
    assert leader is not None
    request = GroupRequest(action="switchover", group="g1", target="beta", operator="ann")
    world.feed(leader, GroupAsked(1, request))
    world.run(5.0)
    assert [world.record(g).owner for g in ("g0", "g1")] == ["alpha", "beta"]
    for host in world.hosts.values():
        host.frozen = True
    world.run(15.0)
    return world


def test_mass_fencing_is_held_until_an_operator_allows_it(two_owners: World) -> None:
    world = two_owners
    world.run(60.0)
    assert "off" not in {f.action for f in world.emitted(FenceStarted)}
    held = [r for r in world.emitted(DecisionRefused) if r.rule == "mass_fencing"]
    assert {r.group for r in held} == {"g0", "g1"}
    assert len(held) == 2, "said once each"
    assert isinstance(world.vouch("allow", "alpha"), Begun)
    world.run(5.0)
    assert [f.node for f in world.emitted(FenceStarted) if f.action == "off"] == ["alpha"]
    assert world.hosts["beta"].alive


def looks(world: World, node: str, since: float) -> int:
    """How often its fence devices were asked for its status."""
    started = world.emitted(FenceStarted, since)
    return len([run for run in started if (run.node, run.action) == (node, "status")])


def test_a_node_that_is_held_is_asked_for_its_status_with_growing_pauses(two_owners: World) -> None:
    world = two_owners
    world.run(60.0)
    asked = world.now
    world.run(600.0)
    for node in ("alpha", "beta"):
        assert 55 <= looks(world, node, asked) <= 60, "about once in LOOK_AGAIN_AT_MOST"


def test_a_host_that_is_switched_off_by_hand_while_held_is_noticed_soon(two_owners: World) -> None:
    world = two_owners
    world.run(600.0)
    world.kill("alpha")
    world.start_decider("alpha")
    world.run(LOOK_AGAIN_AT_MOST + 1.0)
    assert "fenced_off" in [revoked.proof for revoked in world.emitted(LeaseRevoked)]


def test_an_order_to_switch_off_does_not_wait_for_the_pause_between_looks(
    two_owners: World,
) -> None:
    world = two_owners
    world.run(600.0)
    while looks(world, "alpha", world.now - 0.5) == 0:
        world.run(0.1)
    world.run(1.0)
    assert isinstance(world.vouch("allow", "alpha"), Begun)
    assert [f.node for f in world.emitted(FenceStarted) if f.action == "off"] == ["alpha"]


@pytest.mark.parametrize("action", ["status", "off"])
def test_a_device_that_has_failed_for_days_is_asked_on(two_owners: World, action: str) -> None:
    world = two_owners
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    alpha = state.nodes["alpha"]
    assert alpha.suspicion is not None
    fencing = Fencing(action=action, started=alpha.suspicion.trail)  # type: ignore[arg-type]
    suspicion = replace(alpha.suspicion, fencing=fencing, failures=5000, looks=5000)
    nodes = {**state.nodes, "alpha": replace(alpha, suspicion=suspicion)}
    world.deciders[leader] = replace(state, nodes=nodes)
    done = FenceDone("alpha", "boot-alpha-1", action, "failed", "fence_test", "no answer", 5.0)  # type: ignore[arg-type]
    world.feed(leader, done)
    since = world.now
    world.run(30.0)
    assert looks(world, "alpha", since) >= 2


def test_an_answer_that_is_heard_twice_ends_no_other_run(two_owners: World) -> None:
    """The status said on, so `off` was ordered at once; then that status is told again."""
    world = two_owners
    assert isinstance(world.vouch("allow", "alpha"), Begun)
    world.run(0.01)
    leader = world.leader()
    assert leader is not None
    while not [f for f in world.emitted(FenceStarted) if (f.node, f.action) == ("alpha", "off")]:
        world.run(0.01)
    before = world.deciders[leader]
    done = FenceDone("alpha", "boot-alpha-1", "status", "on", "fence_test", "on", 0.1)
    drafts = len(world.drafts)
    world.feed(leader, done)
    assert world.deciders[leader] == before
    assert len(world.drafts) == drafts


def test_a_new_suspicion_is_looked_into_as_often_as_the_first() -> None:
    """Within the ttl, so that a host that lost its power is taken over in about two seconds."""
    world = World(cluster(groups=1))
    world.run(5.0)
    world.fence_says["beta"] = lambda _: ("on", "it runs")
    world.hosts["beta"].cut_off = True  # it owns nothing: nobody switches it off
    world.run(300.0)
    world.hosts["beta"].cut_off = False
    world.run(5.0)
    again = world.now
    world.hosts["beta"].cut_off = True
    world.run(TIMING.ttl)
    assert looks(world, "beta", again) >= 4


def test_mass_fencing_ends_by_itself_when_a_node_is_heard_again(two_owners: World) -> None:
    world = two_owners
    assert "off" not in {f.action for f in world.emitted(FenceStarted)}
    world.hosts["beta"].frozen = False
    world.run(20.0)
    assert [f.node for f in world.emitted(FenceStarted) if f.action == "off"] == ["alpha"]
    assert world.record("g0").owner == "beta"


def test_one_lost_node_is_not_mass_fencing() -> None:
    world = world_with(None, device=True)
    world.hosts["alpha"].frozen = True
    world.run(12.0)
    assert [f.action for f in world.emitted(FenceStarted)][-1] == "off"
    assert world.record().owner == "beta"
    assert isinstance(world.vouch("allow", "beta"), Refused)


def test_a_fence_order_stands_for_its_boot_its_leader_and_its_time_only() -> None:
    world = world_with(None, device=True)
    leader = world.leader()
    assert leader is not None
    state = world.deciders[leader]
    assert state is not None
    trail = Trail("i", "c")
    fencing = Fencing(action="off", started=trail)
    suspicion = Suspicion(trail=trail, signal="s", since=0.0, raised=0.0, fencing=fencing)
    beta = replace(state.nodes["beta"], suspicion=suspicion)
    state = replace(state, nodes={**state.nodes, "beta": beta})
    run = RunFence(node="beta", boot="boot-beta-1", action="off", not_after=world.now + 5.0)
    assert stands(state, run, world.now)
    assert not stands(state, replace(run, boot="boot-beta-0"), world.now)
    assert not stands(state, replace(run, not_after=world.now), world.now)
    assert not stands(state, run, state.leadership.valid_until)
    assert not stands(replace(state, leading=False), run, world.now)
    cleared = {**state.nodes, "beta": replace(beta, suspicion=None)}
    assert not stands(replace(state, nodes=cleared), run, world.now)


def test_a_fence_that_was_called_off_is_not_carried_out_by_a_leader_whose_watch_lags() -> None:
    """Its record says `fencing`; the store says that this is over, so nothing rests on it."""
    world = world_with(None, device=True)
    record, revision = world.records["g0"]
    intent = Intent(
        id=world.mint(),
        step=world.mint(),
        kind=MoveKind.FAILOVER,
        target="beta",
        incident=world.mint(),
        cause=world.mint(),
    )
    past = msgspec.structs.replace(record, phase=Phase.FENCING, intent=intent)
    for name in ("beta", "gamma"):
        world.feed(name, RecordSeen(past, revision + 1))
    world.records["g0"] = (record, revision + 2)
    world.lagging = {"beta", "gamma"}
    world.deciders["alpha"] = None  # its hands and its monitor go on
    while world.leader() is None:
        world.run(0.1)
    world.run(2.0)
    stalled = world.now
    world.hosts["alpha"].cut_off = True
    world.run(TIMING.suspect_after + 2.0)
    assert "status" in {run.action for run in world.emitted(FenceStarted, stalled)}
    assert "off" not in {run.action for run in world.emitted(FenceStarted, stalled)}
    assert world.hosts["alpha"].alive
    for name in ("beta", "gamma"):
        world.feed(name, RecordSeen(*world.records["g0"]))
    world.run(TIMING.ttl)
    assert "off" in {run.action for run in world.emitted(FenceStarted, stalled)}
    assert world.record().owner == "beta"


def test_what_is_being_called_off_is_not_carried_out_either() -> None:
    """The owner is back; that this ends the fence is decided, not stored yet, when it stalls."""
    world = world_with(None, device=True)
    world.fence_says["alpha"] = lambda _: ("on", "it runs")
    world.hosts["alpha"].cut_off = True
    while world.record().phase != Phase.FENCING:
        world.run(0.01)
    world.hosts["alpha"].cut_off = False
    world.store_stalled_until = world.now + 8.0
    world.run(3.0)
    del world.fence_says["alpha"]
    world.hosts["alpha"].cut_off = True
    stalled = world.now
    world.run(TIMING.suspect_after + 2.0)
    assert "off" not in {run.action for run in world.emitted(FenceStarted, stalled)}
    assert world.hosts["alpha"].alive
