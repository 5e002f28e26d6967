"""The measurement of all runs here can fail: two owners, made on purpose, are seen as such."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from tests.network.cluster import PORT, NetworkCluster
from tests.network.faults import draw
from tests.network.runs import RUNS_SEEN
from tests.network.scenario import SETTLE, WRITES, both_seen, next_file, probing
from tests.network.soak import Soak
from tests.support.cluster import HOSTS
from tests.support.lab import inside
from tests.support.waiting import until

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]
END = 10.0
CALM = next(seed for seed in range(99) if draw(seed, ("lan",)).kind == "loss")
"""A seed whose fault moves nothing."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def soak(own_folders: NetworkCluster) -> AsyncIterator[Soak]:
    """As in random runs: each host has a journal of its own."""
    async with own_folders.observed() as client:
        assert await asyncio.to_thread(client.wait_acknowledged, WRITES, SETTLE)
        file = next_file(own_folders)
        with probing(own_folders, file):
            await until(lambda: both_seen(file), what="the observer sees the owner")
            with Soak(own_folders, client, file) as made:
                yield made


@contextmanager
def second_owner(cluster: NetworkCluster, host: str, epoch: int) -> Iterator[None]:
    """A ledger on this host, too, that Holdfast knows nothing of."""
    argv = [sys.executable, "-m", "holdfast.ledger", "--listen", f"0.0.0.0:{PORT}"]
    argv += ["--data", f"{cluster.data}/{host}", "--epoch", str(epoch)]
    with inside(cluster.lab.namespace(host)):
        ledger = subprocess.Popen(argv)
    try:
        yield
        assert ledger.poll() is None, "nothing kept it from serving, no lock and nobody's order"
    finally:
        ledger.terminate()
        ledger.wait(END)


async def test_two_owners_at_once_are_seen_and_the_run_is_wrong(soak: Soak) -> None:
    cluster = soak.cluster
    group = await cluster.wait_active()
    other = next(host for host in HOSTS if host != group.owner)
    seen = len(RUNS_SEEN)
    try:
        alone = await soak.run(CALM)
        with second_owner(cluster, other, group.epoch):
            beside = await soak.run(CALM)
    finally:
        del RUNS_SEEN[seen:]  # no random runs
    assert alone.right, alone
    assert beside.overlaps > 0
    assert not beside.right
