"""A disk that is full and then is not: real processes on a file system with too little room."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage_replication.engine.ports import DiskFailed
from holdfast.storage_replication.replicated import failures
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.supervisor import Supervisor
from tests.support.lone_copy import Known, lead, lone_place, lone_record
from tests.support.nbd_client import Client
from tests.support.replicated import MIB, Volume, running

pytestmark = pytest.mark.volumes
SIZE = 16 * MIB
ROOM = 8 * MIB


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of ROOM, of which a file `ballast` takes the half."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={2 * SIZE}", "small", str(folder)],
        check=True, timeout=20.0,
    )  # fmt: skip
    try:
        with (folder / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, 2 * SIZE - ROOM)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20.0)


def fill(client: Client) -> int:
    """Write until it fails; the errno."""
    for at in range(0, SIZE, MIB):
        if error := client.write(at, b"x" * MIB):
            return error
    return 0


def test_a_replica_without_room_heals_when_there_is_room(tmp_path: Path, small: Path) -> None:
    """And costs the volume nothing but the copy meanwhile."""
    volume = Volume(tmp_path, size=SIZE)
    replica = volume.nodes["b"]
    replica.file = small / "b.raw"
    with running(volume):
        volume.settled()
        with volume.client() as client:
            assert fill(client) == 0
            volume.until(lambda: replica.state and replica.state.failed, "its disk is full")
            volume.until(lambda: volume.record.in_sync == {"a"}, "it is taken out")
            assert replica.state is not None
            assert not replica.state.intact
            replica.end()
            volume.restart("b")
            volume.until(lambda: replica.state and replica.state.failed, "it still is")
            replica.end()
            (small / "ballast").unlink()
            volume.restart("b")
            volume.settled()
            assert client.flush() == 0
        assert not volume.primary.happened(DiskFailed)
        volume.same()


async def test_the_last_copy_is_served_again_when_there_is_room(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "PAUSES", (0.5,))
    place = lone_place(tmp_path / "state", small / "a.raw", "16MiB")
    known = Known(lone_record(SIZE, place.make_instance()))
    ends: list[str] = []
    promoted = asyncio.Event()

    async def resume() -> None:
        await lead(paths.client)
        promoted.set()

    paths = Supervisor(place, known, lambda _: None, resume, ends.append, ends.append)  # type: ignore[arg-type]
    task = asyncio.create_task(paths.run())
    try:
        async with asyncio.timeout(60.0):
            await promoted.wait()
            with Client(place.socket) as client:
                assert await asyncio.to_thread(fill, client) in (errno.ENOSPC, errno.EIO)
                assert client.write(0, b"y") != 0
            promoted.clear()
            (small / "ballast").unlink()
            await promoted.wait()
            assert ends == ["its disk failed (No space left on device) and was killed"]
            with Client(place.socket) as client:
                assert client.read(0, MIB) == b"x" * MIB
                assert await asyncio.to_thread(fill, client) == 0
                assert client.flush() == 0
    finally:
        pid = paths.client.pid if paths.client is not None else None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if pid is not None:
            await kill(pid)
