"""A host's disk fills up while its services run: the workload goes on, and nothing is lost."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a small file system is mounted"),
]

HOST = "alpha"
SIZE = "256m"
WRITES = 200


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster's folder in which the host's state lies on a disk of its own, a small one."""
    folder = tmp_path_factory.mktemp("full")
    disk = folder / "state" / "places" / HOST
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(disk)]
    subprocess.run(mount, check=True, timeout=20)
    yield folder
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(small_disk: Path) -> AsyncIterator[RunningCluster]:
    async with running(RunningCluster(small_disk)) as started:
        yield started


def fill(path: Path) -> None:
    """Write until there is no room for one byte more."""
    with path.open("wb", buffering=0) as file:
        block = bytes(65_536)
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]


async def test_a_full_disk_stops_nothing_and_loses_nothing(cluster: RunningCluster) -> None:
    pid = await cluster.workload()
    ballast = cluster.local.run_dir / HOST / "ballast"
    async with cluster.observed() as ledger:
        began = wall_time()
        await asyncio.to_thread(fill, ballast)
        await cluster.seen("health_signal", since=began, node=HOST, probe="disk", timeout=60)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 60)
        ballast.unlink()
        await cluster.healthy()
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, 60)
    await cluster.audit()
    assert await cluster.workload() == pid
