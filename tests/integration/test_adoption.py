"""The workload outlives Holdfast (I10), and a frozen Holdfast never makes two owners."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import monotonic, wall_time
from holdfast.standstill import LOOK_EVERY
from holdfast.timing import PROFILES
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.cluster_fixture import running
from tests.support.kills import assert_one_owner_at_a_time
from tests.support.waiting import gone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SERVICES = ("monitor", "recovery", "storage_replication", "failover_decider")
WRITES = 10
TOLERANT = PROFILES["tolerant"]
STARTS = 2.0
"""Seconds until a service that has been started acts."""
LEASED = TOLERANT.ttl - TOLERANT.margin - TOLERANT.stop_before - TOLERANT.renew_every - STARTS
"""Seconds in which hands that froze just before a renewal must be started again."""


async def unmoved(cluster: RunningCluster, owner: str, epoch: int, pid: int) -> None:
    """The same process of the same start, and it is watched again."""
    await cluster.healthy()
    group = await cluster.wait_active(on=owner)
    assert group.epoch == epoch
    assert await cluster.workload() == pid
    assert not gone(pid)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCluster]:
    """Leases that last, so that a busy machine's slow restarts are within them."""
    made = RunningCluster(tmp_path_factory.mktemp("adoption"), profile="tolerant")
    async with running(made) as started:
        yield started


@pytest.mark.parametrize("service", [*SERVICES, "nats-server"])
async def test_a_killed_service_leaves_the_workload_alone(
    cluster: RunningCluster, service: str
) -> None:
    owner, group, pid = await cluster.owner(), await cluster.group(), await cluster.workload()
    async with cluster.observed() as ledger:
        began = wall_time()
        old = cluster.send(owner, service, signal.SIGKILL)
        await cluster.restarted(owner, service, old)
        if service == "recovery":
            await adopted(cluster, owner, pid, began)
        await unmoved(cluster, owner, group.epoch, pid)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)


async def test_all_services_stop_in_order_and_come_back(cluster: RunningCluster) -> None:
    owner, group, pid = await cluster.owner(), await cluster.group(), await cluster.workload()
    async with cluster.observed() as ledger:
        began = wall_time()
        old = {service: cluster.send(owner, service, signal.SIGTERM) for service in SERVICES}
        for service, stopped in old.items():
            await cluster.restarted(owner, service, stopped)
            for name in ("service_stopped", "service_started"):
                await cluster.seen(name, since=began, service=service, place=owner)
        await adopted(cluster, owner, pid, began)
        await unmoved(cluster, owner, group.epoch, pid)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)


async def adopted(cluster: RunningCluster, owner: str, pid: int, since: str) -> None:
    """The new recovery service found the workload running, and said so."""
    seen = await cluster.seen(
        "resource_started", since=since, node=owner, resource="web", adopted=True
    )
    assert seen.data["instance"].startswith(f"{pid}:")


async def test_services_that_stand_still_are_started_again(cluster: RunningCluster) -> None:
    """Of each kind one, where no lease of a group is in danger."""
    owner, group, pid = await cluster.owner(), await cluster.group(), await cluster.workload()
    other = next(host for host in HOSTS if host != owner)
    places = {**dict.fromkeys(SERVICES, other), "notifier": "witness", "nats-server": other}
    async with cluster.observed() as ledger:
        began = wall_time()
        old = {name: cluster.send(place, name, signal.SIGSTOP) for name, place in places.items()}
        for name, place in places.items():
            await cluster.restarted(place, name, old[name])
            assert f"{place}: {name} stands still: it is killed" in cluster.reports
            if name != "nats-server":
                await cluster.seen("service_started", since=began, service=name, place=place)
        await unmoved(cluster, owner, group.epoch, pid)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)


@pytest.mark.chaos
async def test_frozen_hands_are_back_before_their_lease_ends(cluster: RunningCluster) -> None:
    owner, group, pid = await cluster.owner(), await cluster.group(), await cluster.workload()
    async with cluster.observed() as ledger:
        began, at = wall_time(), monotonic()
        old = cluster.send(owner, "recovery", signal.SIGSTOP)
        await cluster.restarted(owner, "recovery", old)
        back = monotonic() - at
        if back < LEASED:
            await adopted(cluster, owner, pid, began)
            await unmoved(cluster, owner, group.epoch, pid)
        else:  # a busy machine: what they stopped was started again, and that was all
            await cluster.healthy()
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)
    assert back > TOLERANT.frozen_after - LOOK_EVERY, "counted from its last heartbeat"
    assert_one_owner_at_a_time(cluster)


@pytest.mark.chaos
async def test_frozen_hands_are_fenced_once_their_lease_is_over(cluster: RunningCluster) -> None:
    owner, before = await cluster.owner(), (await cluster.group()).epoch
    other = next(host for host in HOSTS if host != owner)
    pid = await cluster.workload()
    async with cluster.observed() as ledger:
        began = wall_time()
        os.kill(int(cluster.local.place(owner).record()["session"]), signal.SIGSTOP)  # no help
        cluster.send(owner, "recovery", signal.SIGSTOP)
        await cluster.seen(
            "fence_finished", since=began, node=owner, action="off", outcome="off", timeout=60
        )
        assert gone(pid)
        group = await cluster.wait_active(on=other)
        assert group.epoch == before + 1
        revoked = await cluster.seen("lease_revoked", since=began, node=owner)
        started = await cluster.seen("resource_started", since=began, node=other, resource="web")
        assert revoked.envelope.time < started.envelope.time, "first the proof, then the start"
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)
        await cluster.local.place(owner).start()
        await cluster.healthy()
    await cluster.audit()
    assert_one_owner_at_a_time(cluster)
