"""A volume that its primary's host cannot serve any more, while everything else there is well."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.follower import event
from tests.support.volume_cluster import VolumeCluster

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(300),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VolumeCluster]:
    """One cluster."""
    made = VolumeCluster(tmp_path_factory.mktemp("u"))
    async with running(made):
        yield made


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
