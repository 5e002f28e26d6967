"""What operators do to a volume that is in use: its members, its size, bit rot, going back."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from holdfast.clock import wall_time
from holdfast.wire import StatusReply
from tests.support.cluster import HOSTS
from tests.support.cluster_fixture import running
from tests.support.documents import DOCS, blocks, run_session
from tests.support.nbd_client import Client
from tests.support.volume_cluster import VOLUME, VolumeCluster
from tests.support.waiting import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.chaos,
    pytest.mark.timeout(300),
]
MIB = 1 << 20
SMALL, LARGE = 64 * MIB, 256 * MIB
BLOCK = 4096


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VolumeCluster]:
    """One cluster for all tests of the module."""
    made = VolumeCluster(tmp_path_factory.mktemp("o"))
    async with running(made):
        yield made


async def both(cluster: VolumeCluster) -> tuple[str, str]:
    """The primary's host and the other one."""
    await cluster.in_sync()
    owner = await cluster.owner()
    return owner, next(host for host in HOSTS if host != owner)


async def test_a_member_is_removed_and_added_again(cluster: VolumeCluster) -> None:
    owner, other = await both(cluster)
    began = wall_time()
    code, said = await cluster.command("volume", "members", "remove", VOLUME, owner)
    assert (code, "is the primary" in said) == (1, True), said
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        code, said = await cluster.command("volume", "members", "remove", VOLUME, other)
        assert code == 0, said
        removed = await cluster.seen("volume_set_changed", since=began, change="removed")
        assert (removed.data["member"], removed.data["in_sync"]) == (other, [owner])
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20), "on one copy"
        await until(lambda: not cluster.runs_data_path(other), within=30, what="it lets go")
        await cluster.status_where(lambda status: alone(status, owner, other), "one copy is left")
        code, said = await cluster.command("volume", "members", "add", VOLUME, other)
        assert code == 0, said
        await cluster.seen("volume_set_changed", since=began, change="taken_in", member=other)
        await cluster.in_sync()
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20), "on both again"
    assert await cluster.verified(other) == []
    await cluster.healthy()


async def test_a_host_restored_from_a_snapshot_gets_its_copy_anew(cluster: VolumeCluster) -> None:
    """Nobody can tell that it went back in time; so its copy is taken out before it starts."""
    owner, other = await both(cluster)
    disk = cluster.device(other)
    state = cluster.local.place(other).state / "storage_replication"
    await cluster.lead_from("witness")
    await cluster.kill_host(other)
    data, files = disk.read_bytes(), cluster.folder / "files"
    shutil.copytree(state, files, ignore=shutil.ignore_patterns("*.sock"))
    await cluster.local.place(other).start()
    async with cluster.observed() as ledger:
        await cluster.in_sync()
        assert await asyncio.to_thread(ledger.wait_acknowledged, 40, 40)
        await cluster.kill_host(other)
        assert disk.read_bytes() != data
        disk.write_bytes(data)
        shutil.rmtree(state)
        shutil.copytree(files, state)
        code, said = await cluster.command("volume", "members", "remove", VOLUME, other)
        assert code == 0, said
        began = wall_time()
        await cluster.local.place(other).start()
        await cluster.status_where(lambda now: alone(now, owner, other), "its copy does not count")
        code, said = await cluster.command("volume", "members", "add", VOLUME, other)
        assert code == 0, said
        await cluster.seen("volume_set_changed", since=began, change="taken_in", member=other)
        await cluster.in_sync()
    assert await cluster.verified(other) == []
    await cluster.healthy()


def alone(status: StatusReply, owner: str, other: str) -> bool:
    """The primary neither names the removed member nor complains about it."""
    copies = {one.node: one.pulse for one in status.volumes}
    complaints = [
        one for node in status.nodes for one in node.signals if one.probe == f"replica-{other}"
    ]
    return copies[other].standing == "none" and not copies[owner].members and not complaints


async def test_a_volume_grows_while_it_is_used(cluster: VolumeCluster) -> None:
    owner, other = await both(cluster)
    began = wall_time()
    with Client(cluster.socket(owner), export=VOLUME.encode()) as client:
        assert client.size == SMALL
    config = cluster.local.config
    async with cluster.observed() as ledger:
        config.write_text(config.read_text().replace('size = "64MiB"', 'size = "256MiB"'))
        for host in HOSTS:
            old = cluster.send(host, "storage_replication", signal.SIGTERM)
            await cluster.restarted(host, "storage_replication", old)
        await cluster.in_sync()
        code, said = await cluster.command("volume", "resize", VOLUME)
        assert code == 0, said
        await cluster.seen("volume_set_changed", since=began, change="resized", size=LARGE)
        assert {cluster.device(host).stat().st_size for host in HOSTS} == {LARGE}
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
        with Client(cluster.socket(owner), export=VOLUME.encode()) as client:
            assert client.size == LARGE
            assert client.write(LARGE - BLOCK, b"n" * BLOCK) == client.flush() == 0

    def grown(status: StatusReply) -> bool:
        return {one.pulse.size for one in status.volumes} == {LARGE}

    await cluster.status_where(grown, "every member shows the new size")
    with cluster.device(other).open("rb") as copy:
        assert os.pread(copy.fileno(), BLOCK, LARGE - BLOCK) == b"n" * BLOCK
    assert await cluster.verified(other) == []


async def test_bit_rot_is_found_and_repaired(cluster: VolumeCluster) -> None:
    _, other = await both(cluster)
    rotten = LARGE - 8 * BLOCK
    with cluster.device(other).open("r+b") as copy:
        os.pwrite(copy.fileno(), b"rot", rotten + 100)
    async with cluster.observed() as ledger:
        assert await cluster.verified(other) == [f"{rotten}+{BLOCK}"]
        assert await cluster.verified(other, "--repair") == [f"{rotten}+{BLOCK}"]
        assert await cluster.verified(other) == []
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
    with cluster.device(other).open("rb") as copy:
        assert os.pread(copy.fileno(), BLOCK, rotten) == bytes(BLOCK)


async def test_the_page_of_volumes_is_a_session_that_works(cluster: VolumeCluster) -> None:
    _, other = await both(cluster)
    (cluster.folder / ".holdfast").symlink_to(cluster.local.state)
    commands = [
        block.replace("copy=beta", f"copy={other}")
        for block in blocks(DOCS / "volumes.md", "sh")
        if "copy=" in block  # the others need programs that tests/volumes has
    ]
    began = wall_time()
    async with cluster.observed() as ledger:
        await asyncio.to_thread(run_session, commands, cluster.folder, deadline=60)
        await cluster.seen("volume_set_changed", since=began, change="added", member=other)
        await cluster.in_sync()
        assert await asyncio.to_thread(ledger.wait_acknowledged, 20, 20)
    assert await cluster.verified(other) == []


async def test_a_resync_that_is_cut_short_is_undone(cluster: VolumeCluster) -> None:
    """The only whole copy is lost in the midst of it: the other goes back to what it was."""
    owner, other = await both(cluster)
    code, said = await cluster.command("volume", "fallback", VOLUME, other)
    assert code == 1, said
    await cluster.lead_from("witness")
    await cluster.keep_streams_off(owner)
    start, length = 64 * MIB, 160 * MIB  # 5 s at the pace at which a resync begins
    await fill(cluster, owner, b"old", start, length)
    began = await cluster.kill_host(other)
    await cluster.seen("volume_set_changed", since=began, change="taken_out", member=other)
    await fill(cluster, owner, b"new", start, length)
    await cluster.local.place(other).start()
    await cluster.seen("volume_resync_started", since=began, member=other)
    await cluster.kill_host(owner)

    def between(status: StatusReply) -> bool:
        problems = {one.node: one.pulse.problem for one in status.volumes}
        lease = any(node.node == other and node.lease_valid for node in status.nodes)
        return lease and "not complete" in problems[other] and status.groups[0].phase == "held"

    await cluster.status_where(between, f"{other} is between two states")
    code, said = await cluster.command("start", "ledger", "--on", other, "--accept-loss")
    assert (code, "fallback" in said) == (1, True), said
    code, said = await cluster.command("volume", "fallback", VOLUME, other)
    assert code == 0, said
    await cluster.seen("volume_fell_back", since=began, node=other)
    with cluster.device(other).open("rb") as copy:
        for offset in range(start, start + length, MIB):
            assert os.pread(copy.fileno(), MIB, offset) == pattern(b"old", offset)
    code, said = await cluster.command("start", "ledger", "--on", other, "--accept-loss")
    assert code == 0, said
    await cluster.wait_active(on=other)
    await cluster.local.place(owner).start()
    # On record: a status may still be from before.
    await cluster.seen("volume_set_changed", since=began, change="taken_in", member=owner)
    await cluster.in_sync()
    assert await cluster.verified(owner) == []
    await cluster.audit()


def pattern(word: bytes, offset: int) -> bytes:
    """A MiB that is found nowhere else."""
    return (word + b"%12d " % offset) * (MIB // 16)


async def fill(cluster: VolumeCluster, owner: str, word: bytes, start: int, length: int) -> None:
    """Written and durable, beyond what the ledger uses."""

    def write() -> None:
        with Client(cluster.socket(owner), export=VOLUME.encode()) as client:
            for offset in range(start, start + length, MIB):
                assert client.write(offset, pattern(word, offset)) == 0
            assert client.flush() == 0

    await asyncio.to_thread(write)
