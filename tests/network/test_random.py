"""Random faults, one after another: `make network-soak N=200 SEED=1 JSON=soak.json`.

Each host has a journal of its own, so no lock keeps a second owner from serving: only what Holdfast
does keeps it from being seen. Seeds that the file holds are not run again: repeat the command until
all are there, or give them in pieces. A page beside the file tells it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.network.faults import cluster_of
from tests.network.page import page
from tests.network.running import lab_cluster
from tests.network.runs import RUNS_SEEN, read, write
from tests.network.scenario import SETTLE, WRITES, both_seen, next_file, probing
from tests.network.soak import Soak
from tests.support.waiting import until

RUNS = int(os.environ.get("NETWORK_RUNS", "0"))
FIRST = int(os.environ.get("NETWORK_SEED", "1"))
JSON = os.environ.get("NETWORK_JSON", "")
if RUNS and JSON:
    RUNS_SEEN += read(Path(JSON))
LEFT = sorted(set(range(FIRST, FIRST + RUNS)) - {run.seed for run in RUNS_SEEN})

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(not LEFT, reason="set NETWORK_RUNS, or `make network-soak N=20`"),
]
# All that share a cluster, one after another.
CASES = [
    pytest.param(cluster_of(seed), seed, id=f"{len(networks)}-{fencing}-{seed}")
    for networks, fencing in sorted({cluster_of(seed) for seed in LEFT})
    for seed in LEFT
    if cluster_of(seed) == (networks, fencing)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def soak(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Soak]:
    """A cluster observed from its first fault to its last; then every promise must be kept."""
    networks, fencing = request.param
    async with lab_cluster(
        tmp_path_factory, fencing=fencing, shared=False, networks=networks
    ) as cluster:
        async with cluster.observed() as client:
            assert await asyncio.to_thread(client.wait_acknowledged, WRITES, SETTLE)
            file = next_file(cluster)
            with probing(cluster, file):
                await until(lambda: both_seen(file), what="the observer sees the owner")
                with Soak(cluster, client, file) as made:
                    yield made
        await cluster.audit()


@pytest.mark.parametrize(("soak", "seed"), CASES, indirect=["soak"], scope="module")
async def test_random_fault(soak: Soak, seed: int) -> None:
    try:
        run = await soak.run(seed)
    finally:
        if JSON:
            write(RUNS_SEEN, Path(JSON))
            Path(JSON).with_suffix(".md").write_text(page(RUNS_SEEN), "utf-8")
    assert run.right, str(run)
