"""Random faults, one after another: `make network-soak N=200 SEED=1 JSON=soak.json`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast.ledger.client import LedgerClient
from tests.network.running import lab_cluster
from tests.network.scenario import SETTLE, WRITES, both_seen, next_file, probing
from tests.network.soak import RUNS_SEEN, Soak, write
from tests.support.lab import LAN, SAN
from tests.support.waiting import until

RUNS = int(os.environ.get("NETWORK_RUNS", "0"))
FIRST = int(os.environ.get("NETWORK_SEED", "1"))
JSON = os.environ.get("NETWORK_JSON", "")
NETWORKS = ((LAN,), (LAN, SAN))

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(not RUNS, reason="set NETWORK_RUNS, or `make network-soak N=20`"),
]
# Odd seeds on one network, even ones on two; all of a kind share a cluster.
CASES = [
    pytest.param(networks, seed, id=f"{len(networks)}-{seed}")
    for number, networks in enumerate(NETWORKS, start=1)
    for seed in range(FIRST, FIRST + max(RUNS, 1))
    if seed % 2 == number % 2
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def soak(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Soak]:
    """A cluster observed from its first fault to its last; then every promise must be kept."""
    async with lab_cluster(tmp_path_factory, fenced=True, networks=request.param) as cluster:
        client = LedgerClient(list(cluster.urls.values()))
        client.start()
        try:
            assert await asyncio.to_thread(client.wait_acknowledged, WRITES, SETTLE)
            file = next_file(cluster)
            with probing(cluster, file):
                await until(lambda: both_seen(file), what="the observer sees the owner")
                with Soak(cluster, client, file) as made:
                    yield made
        finally:
            report = await asyncio.to_thread(client.finish)
        assert report.ok, report
        await cluster.audit()


@pytest.mark.parametrize(("soak", "seed"), CASES, indirect=["soak"], scope="module")
async def test_random_fault(soak: Soak, seed: int) -> None:
    try:
        run = await soak.run(seed)
    finally:
        if JSON:
            write(RUNS_SEEN, Path(JSON))
    assert run.right, str(run)
