"""Every program of every place is restarted in turn under load: the workload does not notice."""

import asyncio
import signal

import pytest

from holdfast.clock import wall_time
from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running
from tests.support.follower import event
from tests.support.kills import assert_one_owner_at_a_time
from tests.support.waiting import gone

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

WRITES = 20
LONGEST_OUTAGE = 1.0
"""Seconds without an acknowledged write; the ledger itself is never touched."""


async def test_rolling_restart_under_load(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running(RunningCluster(tmp_path_factory.mktemp("rolling"))) as cluster:
        before, pid = await cluster.group(), await cluster.workload()
        began = wall_time()
        async with cluster.observed() as ledger:
            for place in cluster.local.places.values():
                for service in place.services():
                    await restart(cluster, place.name, service)
                    assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 10)
            seen = ledger.mark("restarted")
        assert seen.longest_outage < LONGEST_OUTAGE, seen
        assert not gone(pid)
        assert await cluster.workload() == pid
        group = await cluster.group()
        assert (group.owner, group.epoch) == (before.owner, before.epoch)
        acted = event("decision_made", "resource_stopped", "recovery_started", "lease_lost")
        assert not [str(seen) for seen in cluster.follower.since(began) if acted(seen)]
        await cluster.audit()
        assert_one_owner_at_a_time(cluster)


async def restart(cluster: RunningCluster, place: str, service: str) -> None:
    """As an upgrade does it: end it in order, wait for its successor and for a whole cluster."""
    old = cluster.send(place, service, signal.SIGTERM)
    await cluster.restarted(place, service, old)
    await cluster.healthy()
