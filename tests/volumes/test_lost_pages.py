"""A disk that refuses pages while the data path is killed which would be told of that.

The disk is a loop device over nbdfuse over nbdkit, which answers late, and fails if told to.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.nbd_protocol import Command
from holdfast.storage_replication.blocks.lost_pages import LostPages
from holdfast.storage_replication.replicated.place import Place
from holdfast.storage_replication.replicated.process import gone, kill
from holdfast.storage_replication.replicated.supervisor import Supervisor
from tests.support.lone_copy import Known, lead, lone_place, lone_record
from tests.support.nbd_client import Client, request
from tests.volumes.tools import need, need_devices, run

pytestmark = pytest.mark.volumes
MIB = 1 << 20
SIZE = 16 * MIB
LATE = 1.0
"""Seconds until the disk answers a write."""
WITHIN = 20.0


def _appears(path: Path) -> None:
    deadline = time.monotonic() + WITHIN
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


class Disk:
    """`device`, which fails while there is a file `failing`."""

    def __init__(self, device: Path, failing: Path) -> None:
        self.device, self.failing = device, failing


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    need("nbdkit", "nbdfuse", "losetup", "fusermount3")
    need_devices("/dev/loop-control", "/dev/fuse")
    sock, failing, mount = (tmp_path / name for name in ("disk.sock", "failing", "mount"))
    mount.mkdir()
    serve = (
        "nbdkit", "--foreground", "--unix", sock, "--filter=delay", "--filter=error", "memory",
        str(SIZE), f"delay-write={LATE:g}", "error-pwrite=EIO", "error-pwrite-rate=100%",
        f"error-pwrite-file={failing}",
    )  # fmt: skip
    with subprocess.Popen([str(one) for one in serve]) as kit:
        _appears(sock)
        with subprocess.Popen(["nbdfuse", str(mount / "disk"), "--unix", str(sock)]) as fuse:
            _appears(mount / "disk")
            device = Path(run("losetup", "--find", "--show", mount / "disk").strip())
            try:
                yield Disk(device, failing)
            finally:
                run("losetup", "--detach", device)
                run("fusermount3", "-u", mount)
                fuse.wait(WITHIN)
                kit.terminate()


WRITE_AND_SYNC = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(fd, b"x" * 4096, 8192)
os.fdatasync(fd)
"""


async def test_who_has_it_open_from_before_is_told_of_what_another_one_lost(disk: Disk) -> None:
    noted: list[bool] = []
    pages = LostPages(disk.device, lambda: noted.append(True))
    await pages.listen()
    disk.failing.touch()
    command = ("python3", "-c", WRITE_AND_SYNC, str(disk.device))
    assert (await asyncio.to_thread(subprocess.run, command, stderr=subprocess.DEVNULL)).returncode
    late = LostPages(disk.device, lambda: noted.append(False))
    await late.listen()
    assert not await late.look(), "the kernel tells nobody who comes later"
    assert await pages.look()
    assert noted == [True]
    assert not await pages.look(), "once"
    late.close()


def _flushing(place: Place) -> socket.socket:
    """A client that has written, and waits for its flush."""
    client = Client(place.socket)
    assert client.write(4 * MIB, b"y" * 4096) == 0
    client.sock.sendall(request(Command.FLUSH, 0, 0))
    return client.sock


async def test_a_copy_that_lost_pages_with_its_data_path_is_not_intact(
    tmp_path: Path, disk: Disk
) -> None:
    place = lone_place(tmp_path, disk.device, "16MiB", frozen_after=30.0)
    known = Known(lone_record(SIZE, place.make_instance()))
    ends: list[str] = []
    resumed: asyncio.Queue[bool] = asyncio.Queue()

    async def resume() -> None:
        assert paths.state is not None
        resumed.put_nowait(paths.state.intact)
        if not ends:
            await lead(paths.client)
        resumed.put_nowait(True)

    paths = Supervisor(place, known, lambda _: None, resume, ends.append, lambda _: None)  # type: ignore[arg-type]
    task = asyncio.create_task(paths.run())
    try:
        async with asyncio.timeout(60.0):
            assert await resumed.get()
            assert await resumed.get()
            assert paths.client is not None
            pid = paths.client.pid
            disk.failing.touch()
            with await asyncio.to_thread(_flushing, place):
                await asyncio.sleep(LATE / 2)  # the kernel is at it; nobody can be told yet
                os.kill(pid, signal.SIGKILL)
                assert await gone(pid, WITHIN)
            disk.failing.unlink()
            assert not await resumed.get()
        assert ends == ["signal 9; its disk lost some of what it was given"]
    finally:
        client = paths.client
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if client is not None:
            await kill(client.pid)
