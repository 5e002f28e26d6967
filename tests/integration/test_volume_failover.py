"""The ledger on a replicated volume: hosts die and return, and nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.volume_cluster import VolumeCluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(300),
]


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
        await cluster.seen("volume_resync_finished", since=began, member=lost)
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
