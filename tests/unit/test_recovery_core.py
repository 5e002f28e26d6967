"""The hands' core: orders, steps, local recovery, the end of the lease, restarts."""

import msgspec
import pytest

from holdfast.events import Health
from holdfast.events.hands import (
    GroupStopped,
    GroupVerified,
    OrderAccepted,
    RecoveryExhausted,
    RecoveryStarted,
    RecoverySucceeded,
    ResourceFailed,
    ResourceStarted,
)
from holdfast.events.health import HealthSignal
from holdfast.recovery.messages import ActionDone, LeaseEnded, OrderReceived, Spawned
from holdfast.recovery.resume import LEASE_PASSED
from holdfast.recovery.state import GroupState
from holdfast.wire import Order
from tests.support.hands_world import World, plan_of, resource

LEASE_ENDED = LeaseEnded("lost", "lease-signal", "the lease runs out")


@pytest.fixture
def world() -> World:
    """disk <- db <- web, and cache beside them; looked at, nothing runs."""
    world = World(
        plan_of(
            disk=resource(),
            db=resource(after=("disk",)),
            web=resource(after=("db",)),
            cache=resource(after=("disk",)),
        )
    )
    world.resume(adopt=False)
    world.settle()
    return world


@pytest.fixture
def active(world: World) -> World:
    """The same, started at epoch 5 by intent `a`."""
    world.order("start", 5, "a")
    world.settle()
    assert world.phase == "active"
    return world


def started(world: World) -> list[str]:
    """Resources in the order of their starts."""
    return [name for name, _ in world.started]


# --- orders ----------------------------------------------------------------------------------


def test_a_fresh_group_is_looked_at_before_it_is_called_stopped() -> None:
    world = World(plan_of(one=resource()))
    world.resume(adopt=False)
    assert world.phase == "unknown"
    world.settle()
    assert world.phase == "stopped"
    assert world.events == []


def test_what_runs_unordered_is_stopped_and_begins_an_incident() -> None:
    world = World(plan_of(one=resource()), running={"one": 0})
    world.resume(adopt=False)
    world.settle()
    assert world.running == {}
    assert world.names() == ["health_signal", "resource_stopped", "group_stopped"]
    root = world.last(HealthSignal)
    assert root.incident is None
    assert [e.incident for e in world.events[1:]] == [root.id, root.id]


def test_start_follows_dependencies_and_ends_verified(active: World) -> None:
    order = started(active)
    assert order.index("disk") < order.index("db") < order.index("web")
    assert order.index("disk") < order.index("cache")
    reply = active.order("start", 5, "a")
    assert (reply.accepted, reply.done, reply.error) == (True, True, "")
    assert reply.event == active.last(GroupVerified).id
    verified = active.last(GroupVerified).data
    assert isinstance(verified, GroupVerified)
    assert verified.checks == 4


def test_the_causal_chain_of_a_start_is_unbroken(active: World) -> None:
    by_id = {draft.id: draft for draft in active.events}
    at = active.last(GroupVerified)
    path = []
    while at.cause in by_id:
        path.append(type(at.data).__name__)
        at = by_id[at.cause]
    assert path == ["GroupVerified", "GroupStarted", "ResourceStarted"]
    assert isinstance(at.data, OrderAccepted)
    assert at.cause == "order-sent"
    assert {draft.incident for draft in active.events} == {"incident"}


def test_stop_is_in_reverse_order_and_looks_at_everything_again(active: World) -> None:
    active.order("stop", 5, "b")
    stops = []
    while active.pending is not None:
        stops.append(active.pending.resource)
        active.finish()
    assert stops == list(reversed(started(active)))
    assert active.order("stop", 5, "b").event == active.last(GroupStopped).id
    before = active.minted
    active.order("stop", 6, "c")
    assert active.phase == "stopping"
    active.settle()
    reply = active.order("stop", 6, "c")
    assert (reply.done, reply.error) == (True, "")
    assert reply.event == active.last(GroupStopped).id
    assert active.minted > before


@pytest.mark.parametrize(
    ("action", "epoch", "says"),
    [("start", 4, "below 5"), ("stop", 4, "below 5"), ("start", 5, "already used")],
)
def test_epochs_that_are_past_are_refused(
    active: World, action: str, epoch: int, says: str
) -> None:
    before = active.state
    reply = active.order(action, epoch, "other")
    assert not reply.accepted
    assert says in reply.error
    assert active.state == before


def test_an_order_of_another_boot_is_refused(active: World) -> None:
    order = Order(
        action="stop",
        group="web",
        node="alpha",
        boot="boot-2",
        epoch=9,
        intent="x",
        incident="i",
        cause="c",
        not_after=1e9,
        leader_term=1,
    )
    active.feed(OrderReceived(order, active.act_until))
    assert "boot-2" in active.replies[-1].error
    active.feed(
        OrderReceived(msgspec.structs.replace(order, boot="boot-1", node="beta"), active.act_until)
    )
    assert "node beta" in active.replies[-1].error
    assert active.phase == "active"


def test_an_expired_order_is_refused(world: World) -> None:
    assert "expired" in world.order("start", 1, "a", not_after=world.now - 0.001).error
    assert world.order("start", 1, "a", not_after=world.now).accepted


def test_no_lease_no_start_but_a_stop(active: World) -> None:
    active.act_until = active.now
    assert "lease" in active.order("start", 6, "b").error
    assert active.order("stop", 6, "c").accepted


def test_a_failed_stop_is_not_a_stop(active: World) -> None:
    active.order("stop", 5, "b")
    active.finish(ok=False, effective=False)
    assert active.pending is None, "what it depends on must not be taken away"
    assert active.phase == "unknown"
    reply = active.order("stop", 5, "b")
    assert reply.done
    assert reply.error
    assert reply.event == active.last(ResourceFailed).id
    active.order("stop", 5, "again")
    active.settle()
    assert active.phase == "stopped"


def test_a_failed_start_is_reported_and_can_be_stopped(world: World) -> None:
    world.order("start", 1, "a")
    world.finish()
    world.finish(ok=False, effective=True)
    assert world.phase == "failed"
    assert world.order("start", 1, "a").error
    world.order("stop", 1, "b")
    world.settle()
    assert world.running == {}
    assert world.phase == "stopped"


def test_a_higher_epoch_stops_what_is_left_before_it_starts(active: World) -> None:
    active.order("start", 6, "b")
    active.settle()
    assert set(active.running.values()) == {6}


def test_a_stop_replaces_a_start_in_progress(world: World) -> None:
    world.order("start", 1, "a")
    world.finish()
    late = world.pending
    assert late is not None
    world.order("stop", 1, "b")
    world.feed(ActionDone(number=late.number, ok=True, took=0.1, instance="epoch:1.1"))
    world.settle()
    assert world.phase == "stopped"
    assert not world.order("start", 1, "a").accepted, "a late repetition must not revive it"


# --- local recovery --------------------------------------------------------------------------


def test_a_failed_resource_is_restarted_with_its_dependents(active: World) -> None:
    active.started.clear()
    active.running.pop("db")
    active.signal("db", "sig-1")
    assert active.phase == "recovering"
    active.now += 2.0
    active.settle()
    assert started(active) == ["db", "web"]
    assert active.phase == "active"
    begun, done = active.last(RecoveryStarted), active.last(RecoverySucceeded)
    assert (begun.cause, begun.incident) == ("sig-1", "signal-incident")
    assert isinstance(done.data, RecoverySucceeded)
    assert done.data.took == pytest.approx(2.5)
    assert active.last(ResourceStarted).cause == begun.id


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (Health.DEGRADED, {}),
        (Health.UNKNOWN, {}),
        (Health.FAILED, {"layer": "storage"}),
        (Health.FAILED, {"instance": "epoch:4.1"}),
        (Health.FAILED, {"instance": ""}),
    ],
)
def test_other_signals_trigger_nothing(
    active: World, state: Health, changes: dict[str, str]
) -> None:
    before = active.state
    active.signal("db", "sig-1", state, **changes)
    assert active.state == before


def test_a_signal_is_acted_upon_once(active: World) -> None:
    active.signal("db", "sig-1")
    active.settle()
    active.signal("db", "sig-1", instance=active.state.resource("db").instance)
    assert active.phase == "active"


def test_used_up_attempts_escalate(active: World) -> None:
    for number in range(2):
        active.signal("db", f"sig-{number}")
        active.settle()
    active.signal("db", "sig-2")
    assert active.pending is None
    assert active.phase == "failed"
    assert "attempts_used_up" in active.state.reason
    exhausted = active.last(RecoveryExhausted)
    assert (active.state.event, active.state.incident) == (exhausted.id, "signal-incident")
    assert active.order("start", 5, "a").error, "it does not run any more as ordered"


def test_old_attempts_are_forgotten(active: World) -> None:
    for number in range(6):
        active.signal("db", f"sig-{number}")
        active.settle()
        assert active.phase == "active"
        active.now += 60.0


def test_a_failing_restart_is_an_attempt_and_waits_longer() -> None:
    world = World(plan_of(one=resource(attempts=3, backoff=4.0)))
    world.resume(adopt=False)
    world.settle()
    world.order("start", 1, "a")
    world.settle()
    world.signal("one", "sig")
    delays = []
    while world.phase == "recovering":
        data = world.last(RecoveryStarted).data
        assert isinstance(data, RecoveryStarted)
        delays.append(data.delay)
        world.finish()
        if (wake := world.state.wake_at()) is not None:
            world.tick()
            assert world.pending is None, "the back-off has not passed"
            world.now = wake
            world.tick()
        world.finish(ok=False)
    assert delays == [0.0, 4.0, 8.0]
    assert "attempts_used_up" in world.state.reason


def test_recovery_that_cannot_stop_says_unknown(active: World) -> None:
    active.signal("db", "sig")
    active.finish(ok=False, effective=False)
    assert active.phase == "unknown"
    assert "stop_failed" in active.state.reason


# --- the end of the lease --------------------------------------------------------------------


def test_the_end_of_the_lease_stops_and_is_latched(active: World) -> None:
    active.feed(LEASE_ENDED)
    active.settle()
    assert active.running == {}
    assert active.phase == "stopped"
    assert active.state.reason == LEASE_ENDED.reason
    standing = active.order("start", 5, "a")
    assert (standing.error, standing.lease_ended) == (LEASE_ENDED.reason, True)
    assert not active.order("start", 5, "b").accepted
    assert active.running == {}
    assert active.last(GroupStopped).incident == "lease-signal"
    assert active.order("start", 6, "c").accepted


def test_the_end_of_the_lease_cuts_a_recovery_short(active: World) -> None:
    active.signal("db", "sig")
    active.feed(LEASE_ENDED)
    active.settle()
    assert active.running == {}


def test_a_stop_that_nobody_ordered_is_tried_again_a_bounded_number_of_times(
    active: World,
) -> None:
    active.feed(LEASE_ENDED)
    tries = 0
    while active.pending is not None:
        active.finish(ok=False, effective=False)
        tries += 1
        if (wake := active.state.wake_at()) is not None:
            active.now = wake
            active.tick()
    assert tries == 7
    assert active.phase == "unknown"


# --- restarts of the service -----------------------------------------------------------------


def test_a_start_that_the_lease_did_not_outlast_says_so(world: World) -> None:
    world.order("start", 5, "a")
    world.resume(adopt=False)
    world.settle()
    assert world.running == {}
    standing = world.order("start", 5, "a")
    assert (standing.done, standing.error, standing.lease_ended) == (True, LEASE_PASSED, True)


def test_adoption_restarts_nothing(active: World) -> None:
    active.started.clear()
    active.resume(adopt=True)
    active.settle()
    assert active.started == []
    assert active.phase == "active"
    adopted = [e.data for e in active.events if isinstance(e.data, ResourceStarted)][-4:]
    assert all(data.adopted for data in adopted)


def test_a_resource_found_dead_is_left_to_the_monitor(active: World) -> None:
    instance = active.state.resource("web").instance
    active.running.pop("web")
    active.resume(adopt=True)
    assert active.state.resource("web").instance == instance, "the monitor must be able to name it"
    active.signal("web", "gone", instance=instance)
    active.settle()
    assert "web" in active.running


def test_a_half_done_start_is_undone_then_done(world: World) -> None:
    world.order("start", 1, "a")
    action = world.pending
    assert action is not None
    world.feed(Spawned("disk", action.known.token, "77:1", 77))
    world.resume(adopt=True)
    assert world.pending is not None
    assert (world.pending.verb, world.pending.known.pid) == ("stop", 77)
    world.settle()
    assert world.phase == "active"
    assert world.order("start", 1, "a").done


def test_after_the_lease_has_passed_everything_is_stopped(active: World) -> None:
    active.resume(adopt=False)
    assert active.phase == "unknown"
    active.settle()
    assert active.running == {}
    assert active.phase == "stopped"
    assert not active.order("start", 5, "b").accepted


def test_a_new_boot_keeps_the_epoch_and_reports_stopped_when_seen(active: World) -> None:
    active.running.clear()
    active.resume(adopt=True, boot="boot-2")
    assert active.phase == "unknown"
    active.settle()
    assert (active.phase, active.state.epoch) == ("stopped", 5)
    assert active.last(GroupStopped).cause is not None
    assert not active.order("start", 5, "b").accepted


def test_the_journal_entry_survives_its_encoding(active: World) -> None:
    active.signal("db", "sig")
    raw = msgspec.json.encode(active.state)
    assert msgspec.json.decode(raw, type=GroupState) == active.state
