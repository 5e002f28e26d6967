"""`holdfast volume attach` and `detach` on a real cluster, by nbdfuse."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast.console.demo.processes import run as run_async
from tests.support.cluster_fixture import running
from tests.support.documents import DOCS, blocks, run_session
from tests.support.nbd_client import Client
from tests.support.volume_cluster import VOLUME, VolumeCluster
from tests.support.waiting import until
from tests.volumes.tools import need, need_devices, run

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.volumes,
    pytest.mark.timeout(300),
]
MIB = 1 << 20
UNUSED = 32 * MIB
"""Where the ledger, whose volume it is, does not come."""


class Attaching:
    """The command on this host, with a folder of its own."""

    def __init__(self, cluster: VolumeCluster) -> None:
        self.cluster, self.shelf = cluster, cluster.folder / "attached"

    async def attach(self, *more: str) -> tuple[int, str]:
        """Exit code and what it said."""
        return await run_async(self._attach(*more), timeout=60)

    async def unseen(self) -> tuple[int, str]:
        """As on a host where the primary's socket is not served."""
        socket = self.cluster.socket(await self.cluster.owner())
        hide = f'mount --bind /dev/null {socket}; exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", hide, "sh", *self._attach()]
        return await run_async(command, timeout=60)

    async def detach(self, *more: str) -> tuple[int, str]:
        """Exit code and what it said."""
        command = [sys.executable, "-m", "holdfast.console", "volume", "detach", VOLUME]
        return await run_async([*command, "--at", str(self.shelf), *more], timeout=60)

    def _attach(self, *more: str) -> list[str]:
        return self.cluster.holdfast("volume", "attach", VOLUME, "--at", str(self.shelf), *more)


def shown(path: Path) -> int | None:
    """Its size; None: it is not there."""
    return path.stat().st_size if path.exists() else None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VolumeCluster]:
    """One cluster for all tests of the module."""
    need_devices("/dev/loop-control", "/dev/fuse")
    need("losetup", "nbdfuse", "fusermount3", "mkfs.ext4", "nbdinfo")
    if shutil.which("nbd-client") and shown(Path("/dev/nbd0")) is not None:
        pytest.skip("this kernel has nbd: it would be used")
    made = VolumeCluster(tmp_path_factory.mktemp("a"))
    async with running(made):
        await made.in_sync()
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def attaching(cluster: VolumeCluster) -> AsyncIterator[Attaching]:
    """Nothing is left attached."""
    made = Attaching(cluster)
    yield made
    await made.detach()


async def test_a_file_system_outside_a_group(cluster: VolumeCluster, attaching: Attaching) -> None:
    code, said = await attaching.attach()
    assert code == 0, said
    disk = Path(said.strip())
    assert shown(disk) == 64 * MIB
    assert await attaching.attach() == (0, said), "again: the same"
    part = ("--offset", str(UNUSED), "--sizelimit", str(16 * MIB))
    loop = run("losetup", "--find", "--show", *part, disk).strip()
    mount = cluster.folder / "mnt"
    mount.mkdir()
    try:
        run("mkfs.ext4", "-q", "-F", loop)
        run("mount", loop, mount)
        (mount / "there").write_bytes(b"there" * 1000)
        code, said = await attaching.detach()
        assert code == 2, said
        assert f"mounted at {mount}" in " ".join(said.split()), said
        assert (mount / "there").read_bytes() == b"there" * 1000
    finally:
        run("umount", "-q", mount, code=0)
        run("losetup", "--detach", loop)
    with contextlib.closing(await asyncio.to_thread(disk.open, "rb")):
        code, said = await attaching.detach()
        assert (code, f"({os.getpid()})" in said) == (2, True), said
    code, said = await attaching.detach("--json")
    assert (code, json.loads(said)["path"]) == (0, str(disk)), said
    assert shown(disk) is None
    assert (await attaching.detach())[0] == 1, "it is not attached"
    for node in ("alpha", "beta"):
        assert b"there" * 100 in cluster.device(node).read_bytes(), "on every copy"


async def test_the_uri_serves_any_client(cluster: VolumeCluster, attaching: Attaching) -> None:
    code, said = await attaching.attach("--uri")
    assert code == 0, said
    assert run("nbdinfo", "--size", said.strip()).strip() == str(64 * MIB)
    code, told = await attaching.attach("--uri", "--json")
    assert (code, json.loads(told)["uri"], json.loads(told)["how"]) == (0, said.strip(), "uri")
    assert shown(attaching.shelf / VOLUME) is None, "nothing is attached"
    with Client(cluster.socket(await cluster.owner()), export=VOLUME.encode()) as client:
        assert client.size == 64 * MIB


async def test_only_where_it_is_served(cluster: VolumeCluster, attaching: Attaching) -> None:
    owner = await cluster.owner()
    code, said = await attaching.unseen()
    said = " ".join(said.split())
    assert (code, f"{owner} serves volume {VOLUME}" in said) == (2, True), said
    assert f"run this on {owner}" in said
    code, said = await cluster.command("volume", "attach", "nonsense")
    assert (code, "there is no replicated volume nonsense" in said) == (2, True), said


async def test_a_data_path_that_was_started_again(
    cluster: VolumeCluster, attaching: Attaching
) -> None:
    """What was attached to the one before ends with it, and is replaced."""
    code, said = await attaching.attach()
    assert code == 0, said
    disk, owner = Path(said.strip()), await cluster.owner()
    before = cluster.data_path(owner)
    os.kill(before, signal.SIGKILL)

    def again() -> bool:
        return cluster.runs_data_path(owner) and cluster.data_path(owner) != before

    await until(again, within=60, what="the data path is started again")
    await cluster.in_sync()
    await until(lambda: cluster.socket(owner).exists(), within=30, what="it is served again")
    code, said = await attaching.attach()
    assert (code, said.strip()) == (0, str(disk)), said
    found = await asyncio.to_thread(disk.read_bytes)
    assert len(found) == 64 * MIB


async def test_the_commands_of_the_page(cluster: VolumeCluster) -> None:
    """In the usual folder, as they stand there."""
    (cluster.folder / ".holdfast").symlink_to(cluster.local.state)
    (block,) = [one for one in blocks(DOCS / "volumes.md", "sh") if "volume attach" in one]
    await asyncio.to_thread(run_session, [block], cluster.folder, deadline=60)
    assert (cluster.folder / "first-mib").stat().st_size == MIB
