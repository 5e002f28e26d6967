"""Active/active hosts with several groups: one host is lost, and what ran there goes where its
policies allow, in the order of its dependencies, or is held with the reason; and what moves back.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.fence_host.processes import living_members
from holdfast.wire import StatusReply
from tests.support.cluster_fixture import running
from tests.support.follower import event
from tests.support.policy_cluster import Policy, PolicyCluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(240),
]

HERE, THERE = ("alpha", "beta"), ("beta", "alpha")
CAPACITY = 64
PLACES = {f"[nodes.{node}]": f"capacity = {CAPACITY}\nmax_failures = 100" for node in HERE}
AFTER = 8
"""Seconds for which a host must have been well before anything moves back to it."""
STALL = 2.0
"""Seconds: a host that stalls so long is suspected, and its lease lasts."""
WRITES, WRITES_WITHIN = 20, 10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PolicyCluster]:
    """Both hosts run something: most of it alpha, for its loss is what is tested."""
    made = PolicyCluster(
        tmp_path_factory.mktemp("hosts"),
        Policy(
            "app", HERE, ('requires = ["db"]', 'together_with = ["db"]')
        ),  # before it, on purpose
        Policy("db", HERE, ("load = 16",)),
        Policy("big", HERE, ("load = 32",)),
        Policy("left", HERE, ('apart_from = ["right"]',)),
        Policy("rather", HERE, ('prefer_apart_from = ["right"]',)),
        Policy("right", THERE),
        Policy("wide", THERE, ("load = 40",)),
        places=PLACES,
    )
    async with running(made) as started:
        await started.lead_from("witness")
        await started.keep_streams_off("alpha")
        yield started
        await started.audit()


async def test_a_lost_hosts_groups_go_where_their_policies_allow(hosts: PolicyCluster) -> None:
    await hosts.all_run("alpha", "ledger", "app", "db", "big", "left", "rather")
    await hosts.all_run("beta", "right", "wide")
    foretold = await hosts.status_where(_alphas_loss_is_reviewed, "N+1 is reviewed")
    (loss,) = [one.reason for one in foretold.unbearable if one.node == "alpha"]
    assert set(re.findall(r"(\w+) would have no place", loss)) == {"big", "left"}

    async with hosts.observed() as ledger:
        began = await hosts.kill_host("alpha")
        await hosts.runs(ledger="beta", db="beta", app="beta", rather="beta")
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, WRITES_WITHIN)
    kept_apart = await hosts.is_held("left", because="right is there, from which it is kept apart")
    full = await hosts.is_held("big", because="of its capacity of 64 only [0-9]+ is free")
    assert full.endswith("and it takes 32")

    serves = await hosts.seen("ownership_changed", since=began, group="db", phase="active")
    ordered = await hosts.seen("order_sent", since=began, group="app", node="beta", action="start")
    assert serves.envelope.time < ordered.envelope.time, "not before what it requires"
    for group, reason in (("left", kept_apart), ("big", full)):
        held = await hosts.seen("group_held", since=began, group=group)
        assert held.data["reason"] == reason
        started = event("order_sent", group=group, action="start")
        assert not [str(seen) for seen in hosts.follower.since(began) if started(seen)]
    code, status = await hosts.command("status")
    assert code == 1
    told = {group["group"]: (group["phase"], group["reason"]) for group in status["groups"]}
    assert (told["left"], told["big"]) == (("held", kept_apart), ("held", full))

    code, said = await hosts.command("start", "big")
    assert (code, said["done"]) == (1, False), "nor does an operator overfill a host"
    assert "of its capacity of 64" in said["reason"]
    code, said = await hosts.command("stop", "db")
    assert (code, said["done"]) == (1, False)
    assert "app requires it and runs" in said["reason"]

    returned = wall_time()
    await hosts.local.place("alpha").start()
    await hosts.runs(big="alpha", left="alpha", db="beta", app="beta", rather="beta", right="beta")
    for group in ("left", "big"):
        assert hosts.decided(group, returned) == [("start_stopped", None, "alpha")]
    for group in ("ledger", "db", "app", "rather"):
        assert hosts.decided(group, returned) == [], "failback is manual by default"


def _alphas_loss_is_reviewed(status: StatusReply) -> bool:
    return any(one.node == "alpha" for one in status.unbearable)


def _window(opens: float, closes: float) -> str:
    """The key for a daily window, in hours from now."""
    now = datetime.now(UTC)
    times = [f"{now + timedelta(hours=hours):%H:%M}" for hours in (opens, closes)]
    return f'failback_window = "{"-".join(times)}"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def returning(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PolicyCluster]:
    """Groups that differ in nothing but their failback."""
    automatic = ('failback = "automatic"', f"failback_after = {AFTER}")
    made = PolicyCluster(
        tmp_path_factory.mktemp("returning"),
        Policy("homing", HERE, automatic),
        Policy("daytime", HERE, (*automatic, _window(-1, 3))),
        Policy("nightly", HERE, (*automatic, _window(12, 14))),
        Policy("staying", HERE, ('failback = "manual"', f"failback_after = {AFTER}")),
        places=PLACES,
    )
    async with running(made) as started:
        await started.lead_from("witness")
        await started.keep_streams_off("alpha")
        yield started
        await started.audit()


async def test_groups_move_back_as_configured_and_not_before_the_host_is_stable(
    returning: PolicyCluster,
) -> None:
    groups = ("homing", "daytime", "nightly", "staying")
    await returning.all_run("alpha", *groups)
    await returning.kill_host("alpha")
    await returning.all_run("beta", *groups)

    returned = wall_time()
    await returning.local.place("alpha").start()
    await returning.seen("node_seen", since=returned, node="alpha")
    await returning.status_where(_holds_its_lease, "alpha may run something")
    stalled = wall_time()
    await _stall(returning, "alpha")
    cleared = await returning.seen("node_cleared", since=stalled, node="alpha")
    await returning.runs(homing="alpha", daytime="alpha", nightly="beta", staying="beta")
    for group in ("homing", "daytime"):
        assert returning.decided(group, returned) == [("failback", "beta", "alpha")]
        made = await returning.seen("decision_made", since=returned, group=group)
        since_stall = _at(made.envelope.time) - _at(cleared.envelope.time)
        assert since_stall.total_seconds() >= AFTER - 0.1, "counted from when it was stable again"
        await returning.seen("move_completed", since=returned, group=group, kind="failback")
    for group in ("nightly", "staying"):
        assert returning.decided(group, returned) == []


async def _stall(cluster: PolicyCluster, host: str) -> None:
    session = int(cluster.local.place(host).record()["session"])
    members = [process.pid for process in living_members(session)]
    try:
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STALL)
    finally:
        for pid in members:
            os.kill(pid, signal.SIGCONT)


def _holds_its_lease(status: StatusReply) -> bool:
    return any(
        node.node == "alpha" and node.state == "alive" and node.lease_valid for node in status.nodes
    )


def _at(time: str) -> datetime:
    return datetime.fromisoformat(time)
