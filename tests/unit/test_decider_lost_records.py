"""The ownership records are lost, made anew, or of the past: the hands know more than they say."""

import pytest

from holdfast.config.model import VolumeResource
from holdfast.events import Health
from holdfast.events.health import HealthSignal
from holdfast.events.ownership import DecisionMade, DecisionRefused, FenceStarted
from holdfast.failover_decider.claims import next_epoch
from holdfast.failover_decider.messages import BucketsChecked
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace
from holdfast.wire import Begun, GroupReport, Refused
from holdfast.wire.volumes import VolumePulse
from tests.support.decider_world import World, cluster


def on_beta() -> World:
    """A group that runs on beta, at epoch 2."""
    world = World(cluster())
    world.run(30.0)
    assert isinstance(world.ask("switchover", "beta"), Begun)
    world.run(10.0)
    assert (world.record().owner, world.record().epoch) == ("beta", 2)
    return world


def records_are_lost(world: World, kept: OwnershipRecord | None = None) -> float:
    """The bucket is empty, or back at an old record, and every decider is started again."""
    world.records.clear()
    if kept is not None:
        world.records["g0"] = (kept, 1)
    for place in world.deciders:
        world.start_decider(place)
        world.run(1.0)
    return world.now


def said(world: World, rule: str, since: float = 0.0) -> list[str]:
    return [r.reason for r in world.emitted(DecisionRefused, since) if r.rule == rule]


def nothing_was_touched(world: World, since: float) -> None:
    assert world.emitted(DecisionMade, since) == []
    assert [one for one in world.emitted(FenceStarted, since) if one.action == "off"] == []
    assert not world.active_overlaps


def test_the_record_is_made_again_from_what_all_hands_report() -> None:
    world = on_beta()
    since = records_are_lost(world)
    world.run(60.0)
    record = world.record()
    assert (record.owner, record.boot, record.epoch) == ("beta", "boot-beta-1", 2)
    assert record.phase == Phase.ACTIVE
    (reason,) = said(world, "record_rebuilt")
    assert "beta reports it as active at epoch 2" in reason
    nothing_was_touched(world, since)
    world.kill("beta")
    world.run(30.0)
    assert (world.record().owner, world.record().epoch) == ("alpha", 3)
    assert not world.active_overlaps


def test_an_owner_whose_record_is_of_the_past_is_neither_stopped_nor_fenced() -> None:
    """It runs on alpha at epoch 3; by the record kept, beta was told to start it at epoch 2."""
    world = World(cluster())
    world.run(30.0)
    assert isinstance(world.ask("switchover", "beta"), Begun)
    while world.record().phase != Phase.STARTING:
        world.run(0.001)
    kept = world.record()
    world.run(40.0)
    assert isinstance(world.ask("switchover", "alpha"), Begun)
    world.run(10.0)
    assert (world.record().owner, world.record().epoch) == ("alpha", 3)
    since = records_are_lost(world, kept)
    world.run(400.0)
    assert (world.record().owner, world.record().epoch) == ("alpha", 3)
    nothing_was_touched(world, since)


def test_nothing_is_started_while_hands_that_may_run_it_are_not_heard() -> None:
    world = on_beta()
    world.hosts["beta"].cut_off = True
    since = records_are_lost(world)
    world.run(60.0)
    assert world.records == {}
    (reason,) = said(world, "record_lost")
    assert "epoch 0" in reason
    assert "alpha reports it as stopped at epoch 1" in reason
    assert "the hands of beta do not say" in reason
    assert "failure-guide" in reason
    nothing_was_touched(world, since)
    refused = world.ask("start", "alpha")
    assert isinstance(refused, Refused)
    assert "alpha reports it as stopped at epoch 1" in refused.reason
    world.hosts["beta"].cut_off = False
    world.run(60.0)
    assert world.record().owner is not None
    assert not world.active_overlaps


@pytest.mark.parametrize("state", ["active", "unknown"])
def test_two_nodes_that_may_run_it_are_left_to_an_operator(state: str) -> None:
    world = on_beta()
    world.report("alpha", state)
    since = records_are_lost(world)
    world.run(60.0)
    assert world.records == {}
    (reason,) = said(world, "record_lost")
    assert "alpha and beta may run it" in reason
    nothing_was_touched(world, since)


def test_what_runs_nowhere_starts_above_every_epoch_that_was() -> None:
    world = on_beta()
    for host in world.hosts.values():
        report = host.groups["g0"]
        host.groups["g0"] = GroupReport(group="g0", epoch=report.epoch, state="stopped")
    records_are_lost(world)
    world.run(60.0)
    assert (world.record().owner, world.record().epoch) == ("alpha", 3)
    assert world.record().phase == Phase.ACTIVE


def test_what_fails_where_it_runs_is_stopped_there_before_it_starts_elsewhere() -> None:
    world = on_beta()
    world.report("beta", "failed")
    records_are_lost(world)
    world.run(60.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)
    assert world.hosts["beta"].groups["g0"].state == "stopped"
    assert not world.active_overlaps


def test_a_group_that_never_ran_is_not_started_while_hands_do_not_say_stopped() -> None:
    world = World(cluster())
    world.report("beta", "unknown")
    world.run(60.0)
    assert world.records == {}
    (reason,) = said(world, "runs_somewhere")
    assert "beta reports it as unknown" in reason
    refused = world.ask("start")
    assert isinstance(refused, Refused)
    assert "beta reports it as unknown" in refused.reason
    world.report("beta", "stopped")
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)


def test_a_group_moves_nowhere_while_a_third_node_may_run_it() -> None:
    world = World(cluster(nodes=("alpha", "beta", "delta")))
    world.run(30.0)
    world.report("delta", "unknown")
    world.run(1.0)
    world.kill("alpha")
    world.run(30.0)
    assert (world.record().owner, world.record().phase) == (None, Phase.HELD)
    assert "delta reports it as unknown" in world.record().reason
    world.report("delta", "stopped")
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("beta", Phase.ACTIVE)


def start_at(world: World, copies: int) -> int:
    """The epoch of its next start, when a copy of its volume was promoted at epoch `copies`."""
    (leader,) = filter(None, [world.leader()])
    state = world.deciders[leader]
    assert state is not None
    copy = VolumePulse(volume="v", standing="in_sync", role="replica", epoch=copies, size=1)
    group = replace(state.cluster.groups["g0"], resources={"v": VolumeResource(volume="v")})
    file = replace(state.cluster, groups={"g0": group})
    nodes = {**state.nodes, "beta": replace(state.nodes["beta"], volumes=(copy,))}
    known = replace(state, cluster=file, nodes=nodes)
    return next_epoch(known, known.groups["g0"])


def test_a_start_is_above_the_epochs_of_the_copies_too() -> None:
    world = on_beta()
    assert start_at(world, copies=7) == 8
    assert start_at(world, copies=1) == 3


def test_nothing_is_decided_while_the_buckets_are_lost() -> None:
    world = on_beta()
    world.buckets_lost = "KV_ha_ownership: the bucket is missing; see the guide"
    for place in world.deciders:
        world.start_decider(place)
        world.run(1.0)
    since = world.now
    world.kill("beta")
    world.run(60.0)
    assert (world.record().owner, world.record().epoch) == ("beta", 2)
    assert said(world, "buckets_lost") == [world.buckets_lost]
    (signal,) = [s for s in world.emitted(HealthSignal) if s.probe == "records"]
    assert (signal.state, signal.reason) == (Health.FAILED, world.buckets_lost)
    nothing_was_touched(world, since)
    refused = world.ask("switchover")
    assert isinstance(refused, Refused)
    assert refused.reason == world.buckets_lost
    world.buckets_lost = ""
    (leader,) = filter(None, [world.leader()])
    world.feed(leader, BucketsChecked())
    world.run(30.0)
    assert (world.record().owner, world.record().epoch) == ("alpha", 3)
    signals = [s for s in world.emitted(HealthSignal) if s.probe == "records"]
    assert [s.state for s in signals] == [Health.FAILED, Health.OK]


def test_a_group_that_never_ran_is_not_started_before_the_buckets_were_looked_at() -> None:
    world = World(cluster())
    world.buckets_unheard = True
    world.run(60.0)
    assert world.records == {}
    refused = world.ask("start")
    assert isinstance(refused, Refused)
    (leader,) = filter(None, [world.leader()])
    world.feed(leader, BucketsChecked())
    world.run(5.0)
    assert (world.record().owner, world.record().phase) == ("alpha", Phase.ACTIVE)


def test_a_decision_that_is_not_stored_is_said_and_the_buckets_are_looked_at() -> None:
    """The bucket is another one by now; nobody is started again, so the watch shows nothing."""
    world = on_beta()
    world.records.clear()
    world.buckets_lost = "KV_ha_ownership: it was made anew"
    assert isinstance(world.ask("switchover", "alpha"), Begun)
    world.run(15.0)
    assert said(world, "record_not_stored") == []
    world.run(10.0)
    (reason,) = said(world, "record_not_stored")
    assert "for 20 s" in reason
    assert said(world, "buckets_lost") == [world.buckets_lost]
    since = world.now
    world.run(60.0)
    nothing_was_touched(world, since)
    assert said(world, "record_not_stored", since) == []
