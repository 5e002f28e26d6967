"""The ledger on a replicated volume: hosts die and return, and nothing acknowledged is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.wire import StatusReply
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.follower import event
from tests.support.volume_cluster import VolumeCluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(300),
]

UNNOTICED = 1.0
"""Seconds between two acknowledgements: the observer writes every 0.05 s, on a busy machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VolumeCluster]:
    """One cluster for all tests of the module."""
    made = VolumeCluster(tmp_path_factory.mktemp("v"))
    async with running(made):
        yield made


async def test_the_host_is_killed_and_returns(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    lost = await cluster.owner()
    survivor = next(host for host in HOSTS if host != lost)
    await cluster.lead_from("witness")
    await cluster.keep_streams_off(lost)
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        began = await cluster.kill_host(lost)
        promoted = await cluster.seen("volume_set_changed", since=began, change="promoted")
        assert (promoted.data["node"], promoted.data["epoch"]) == (survivor, before + 1)
        assert promoted.data["in_sync"] == [survivor], "nothing waits for the dead"
        await cluster.wait_active(on=survivor)
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        await cluster.local.place(lost).start()
        back = await cluster.seen("volume_set_changed", since=began, change="taken_in", member=lost)
        assert sorted(back.data["in_sync"]) == sorted(HOSTS)
        started = await cluster.seen("volume_resync_started", since=began, member=lost)
        assert started.data["bytes"] <= 16 << 20, "of 64 MiB: what was active, or changed since"
        done = await cluster.seen("volume_resync_finished", since=began, member=lost)
        assert done.data["bytes"] <= 4 << 20, "of that, what differs"
        await cluster.in_sync()
    await cluster.healthy()
    assert await cluster.owner() == survivor
    assert (await cluster.copies())[lost]["role"] == "replica"
    await cluster.audit()


async def test_a_switchover_loses_nothing(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    source = await cluster.owner()
    target = next(host for host in HOSTS if host != source)
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        code, said = await cluster.command("switchover", "ledger", "--to", target)
        assert code == 0, said
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        await cluster.in_sync()
    assert (await cluster.copies())[target]["role"] == "primary"


async def test_service_and_data_path_die_and_the_ledger_goes_on(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    before = await cluster.group()
    path = cluster.data_path(owner)
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        for how in (signal.SIGTERM, signal.SIGKILL):
            ledger.mark("the service is away")
            old = cluster.send(owner, "storage_replication", how)
            await cluster.restarted(owner, "storage_replication", old)
            assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
            away = ledger.mark("it is back")
            assert away.longest_outage < UNNOTICED, away
            assert cluster.data_path(owner) == path, "the same process serves"
        began = wall_time()
        os.kill(cluster.data_path(owner), signal.SIGKILL)
        await cluster.seen("volume_data_path_ended", since=began, node=owner)
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 40)
        await cluster.in_sync()
    assert (await cluster.wait_active(on=owner)).epoch == before.epoch
    await cluster.audit()


@pytest.mark.parametrize("role", ["primary", "replica"])
async def test_a_data_path_that_stands_still_is_started_again(
    cluster: VolumeCluster, role: str
) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    place = owner if role == "primary" else next(host for host in HOSTS if host != owner)
    async with cluster.observed() as ledger:
        began = wall_time()
        os.kill(cluster.data_path(place), signal.SIGSTOP)
        ended = await cluster.seen("volume_data_path_ended", since=began, node=place, timeout=40)
        assert ended.data["reason"] == "it stood still for 10 s and was killed"
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 60)
        await cluster.in_sync()
    await cluster.audit()


async def test_copies_are_compared(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    other = next(host for host in HOSTS if host != owner)
    began = wall_time()
    code, said = await cluster.command("volume", "verify", "ledger", other)
    assert code == 0, said
    found = await cluster.seen("volume_verified", since=began, member=other)
    assert found.data["differences"] == 0
    code, said = await cluster.command("volume", "verify", "ledger", other, "--repair")
    assert code == 0, said
    code, said = await cluster.command("volume", "list")
    assert code == 0, said
    assert all(word in said for word in ("ledger", "in sync", *HOSTS)), said


async def test_without_a_copy_in_sync_only_an_operator_promotes(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    other = next(host for host in HOSTS if host != owner)
    await cluster.lead_from("witness")
    await cluster.keep_streams_off(owner)
    began = await cluster.kill_host(other)
    await cluster.seen("volume_set_changed", since=began, change="taken_out", member=other)
    await cluster.kill_host(owner)
    await cluster.local.place(other).start()

    def back(status: StatusReply) -> bool:
        node = next(one for one in status.nodes if one.node == other)
        copies = [one.pulse for one in status.volumes if one.node == other and one.heard]
        known = [one for one in copies if one.standing == "behind" and not one.problem]
        return node.lease_valid and bool(known) and status.groups[0].phase == "held"

    await cluster.status_where(back, f"{other} is back, and may not run it")
    code, said = await cluster.command("start", "ledger", "--on", other)
    assert code == 1, said
    assert "acknowledged writes" in " ".join(said.split())
    code, said = await cluster.command("start", "ledger", "--on", other, "--accept-loss")
    assert code == 0, said
    lost = await cluster.seen("volume_loss_accepted", since=began, node=other)
    assert "accepts" in lost.data["loss"]
    await cluster.local.place(owner).start()
    await cluster.in_sync()
    await cluster.audit()


async def test_a_group_moves_to_where_its_volume_can_be_served(cluster: VolumeCluster) -> None:
    await cluster.in_sync()
    owner = await cluster.owner()
    other = next(host for host in HOSTS if host != owner)
    disk = cluster.device(owner)
    unplugged = disk.with_suffix(".unplugged")
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        began = wall_time()
        disk.rename(unplugged)
        os.kill(cluster.data_path(owner), signal.SIGKILL)
        await cluster.seen_where(
            event("decision_made", rule="volume_unserved", source=owner, target=other),
            what="a decision to move",
            since=began,
            timeout=60,
        )
        await cluster.wait_active(on=other, timeout=60)
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 60)
        unplugged.rename(disk)
        await cluster.in_sync()
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 60)
    fenced = [seen for seen in cluster.follower.since(began) if seen.name == "fence_started"]
    assert not fenced, "its hands could stop it"
    assert await cluster.verified(owner) == []
    await cluster.healthy()
    await cluster.audit()
