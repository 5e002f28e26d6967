"""Files and devices under a volume: exclusive, durable or failed for good, and zeroes."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.storage_replication.blocks import rawfile
from holdfast.storage_replication.blocks.errors import BackingError, BackingInUse
from holdfast.storage_replication.blocks.plain import Plain
from holdfast.storage_replication.blocks.rawfile import RawFile
from tests.support.loop_device import loop_device

MIB = 1024 * 1024
DEADLINE = 20.0


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    path = tmp_path / "volume.raw"
    with path.open("wb") as file:
        file.truncate(4 * MIB)
    return path


async def ends(begin: Callable[[Callable[..., None]], None]) -> tuple[object, ...]:
    """What `done` was told."""
    ended: asyncio.Future[tuple[object, ...]] = asyncio.get_running_loop().create_future()
    begin(lambda *told: ended.set_result(told))
    return await asyncio.wait_for(ended, DEADLINE)


def content(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), length, offset)


async def test_what_is_written_is_read_cached_or_not(backing: Path) -> None:
    volume = Plain(RawFile(backing))
    assert await ends(lambda done: volume.write(5, memoryview(b"hold"), True, done)) == (0,)
    for _ in range(2):
        error, data = await ends(lambda done: volume.read(4, 6, done))
        assert (error, bytes(data)) == (0, b"\0hold\0")  # type: ignore[call-overload]
        fd = os.open(backing, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
    volume.close()
    assert content(backing, 4, 6) == b"\0hold\0"


@pytest.mark.parametrize("direct", [True, False])
async def test_what_the_disk_has_is_read_past_the_cache(tmp_path: Path, direct: bool) -> None:
    """Wherever it begins and ends, also what was only just written."""
    path = tmp_path / "odd.raw"
    path.write_bytes(b"abcde" * (700 * 1024))
    file = RawFile(path)
    file._direct._able = direct
    size = file.size
    file.pwrite(4095, b"XYZ")
    assert file.read_disk(4094, 5) == b"eXYZd"
    assert file.read_disk(size - 3, 3) == b"cde"
    assert file.read_disk(1, size - 1) == path.read_bytes()[1:]
    with pytest.raises(OSError, match="ends before"):
        file.read_disk(size - 1, 2)
    file.close()


async def test_what_nobody_uses_is_zeroed_beside(backing: Path) -> None:
    """A part at a time, and not where there are zeroes."""
    with backing.open("r+b") as filled:
        filled.seek(MIB)
        filled.write(b"x" * MIB)
    file = RawFile(backing)
    told = asyncio.create_task(ends(lambda done: file.clear(MIB + 4096, 3 * MIB - 4096, done)))
    file.pwrite(0, b"meanwhile")
    assert await told == (0,)
    assert file.pread(0, 9) == b"meanwhile"
    assert file.pread(MIB, 3 * MIB) == b"x" * 4096 + bytes(3 * MIB - 4096)
    file.close()


async def test_a_device_is_zeroed_beside(tmp_path: Path) -> None:
    below = tmp_path / "below.raw"
    below.write_bytes(b"x" * 4 * MIB)
    with loop_device(below) as device:
        file = RawFile(device)
        assert await ends(lambda done: file.clear(MIB + 512, 3 * MIB - 512, done)) == (0,)
        assert await ends(file.sync) == (0,)
        assert file.read_disk(MIB, 3 * MIB) == b"x" * 512 + bytes(3 * MIB - 512)
        file.close()


async def test_what_rotted_under_the_cache_is_seen_and_the_cache_kept(tmp_path: Path) -> None:
    """A loop device has pages of its own above those of its file."""
    below = tmp_path / "below.raw"
    below.write_bytes(bytes(MIB))
    with loop_device(below) as device:
        file = RawFile(device)
        file.pwrite(0, b"good" * 4096)
        assert await ends(file.sync) == (0,)
        with below.open("r+b") as disk:
            disk.seek(4096)
            disk.write(b"rot!")
        assert file.pread(4096, 4) == b"good"
        assert file.read_disk(4096, 4) == b"rot!"
        assert bytes(file.peek(4096, 4) or b"") == b"good"
        file.close()


async def test_a_file_that_got_shorter_is_an_error_of_the_read(backing: Path) -> None:
    volume = Plain(RawFile(backing))
    os.truncate(backing, MIB)
    assert (await ends(lambda done: volume.read(2 * MIB, 512, done)))[0] == errno.EIO
    volume.close()


async def test_nobody_else_opens_it(backing: Path) -> None:
    file = RawFile(backing)
    with pytest.raises(BackingInUse, match="fuser"):
        RawFile(backing)
    with pytest.raises(BackingInUse):
        RawFile(backing, read_only=True)
    file.close()
    RawFile(backing).close()


async def test_what_can_t_be_a_volume_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for path, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (empty, "empty"),
        (Path("/dev/null"), "neither"),
    ):
        with pytest.raises(BackingError, match=reason):
            RawFile(path)


async def test_punching_gives_space_back_and_zeroing_keeps_it(backing: Path) -> None:
    file = RawFile(backing)
    file.pwrite(0, b"x" * 4 * MIB)
    file.zero(MIB, MIB, punch=True)
    file.zero(3 * MIB + 1, 10, punch=False)
    assert file.pread(MIB - 1, 3) == b"x\0\0"
    assert file.pread(3 * MIB, 12) == b"x" + bytes(10) + b"x"
    assert file.extents(0, 4 * MIB) == [
        (MIB, False, False),
        (MIB, True, True),
        (2 * MIB, False, False),
    ]
    assert file.extents(MIB + 5, 10) == [(10, True, True)]
    file.close()
    assert os.stat(backing).st_blocks * 512 <= 3 * MIB + 65536


async def test_without_help_of_the_file_system_zeroes_are_written(
    backing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr("holdfast.storage_replication.blocks.fallocate.punch_hole", unsupported)
    monkeypatch.setattr("holdfast.storage_replication.blocks.fallocate.zero_range", unsupported)
    file = RawFile(backing)
    file.pwrite(0, b"x" * 4 * MIB)
    file.zero(1, 3 * MIB, punch=True)
    assert file.pread(0, 4 * MIB) == b"x" + bytes(3 * MIB) + b"x" * (MIB - 1)
    file.close()


async def test_extents_are_bounded(backing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawfile, "MAX_EXTENTS", 4)
    file = RawFile(backing)
    for at in range(0, 4 * MIB, 256 * 1024):
        file.pwrite(at, b"x" * 4096)
    assert len(file.extents(0, 4 * MIB)) == 4
    file.close()


async def test_a_start_sees_the_disk_and_not_what_an_earlier_run_left_in_the_cache(
    backing: Path,
) -> None:
    file = RawFile(backing)
    file.pwrite(0, b"x" * MIB)
    assert await ends(file.sync) == (0,)
    assert bytes(file.peek(0, 4096) or b"") == b"x" * 4096
    os.posix_fadvise(file._fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if file.peek(0, 4096) is not None:
        pytest.skip("this file system has no disk behind its cache")
    assert file.pread(0, 4096) == b"x" * 4096
    assert file.peek(0, 4096) is not None
    file.close()
    again = RawFile(backing)
    assert again.peek(0, 4096) is None
    assert again.pread(0, 4096) == b"x" * 4096
    again.close()


class SlowDisk:
    """fdatasync that ends when told, with an error if told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_end = threading.Semaphore(0)
        self.error = 0
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, _: int) -> None:
        assert self.may_end.acquire(timeout=DEADLINE)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


async def test_flushes_that_wait_share_one(backing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, file = SlowDisk(monkeypatch), RawFile(backing)
    told: list[int] = []
    last = asyncio.Event()
    for number in range(10):
        file.sync(lambda error, number=number: told.append(number))  # type: ignore[misc]
    file.sync(lambda error: last.set())
    assert not told
    disk.may_end.release(2)
    await asyncio.wait_for(last.wait(), DEADLINE)
    assert told == list(range(10))
    assert file.flushes == 2, "the first, and one for all that came while it ran"
    file.close()


async def test_a_failed_flush_is_final(
    backing: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SlowDisk(monkeypatch)
    disk.error = errno.EIO
    volume = Plain(RawFile(backing))
    first, second = (
        asyncio.create_task(ends(volume.flush)),
        asyncio.create_task(ends(lambda done: volume.write(0, memoryview(b"x"), True, done))),
    )
    await asyncio.sleep(0)
    disk.may_end.release(2)
    assert await first == (errno.EIO,)
    assert await second == (errno.EIO,)
    disk.error = 0
    disk.may_end.release(10)
    assert await ends(volume.flush) == (errno.EIO,), "never tried again as if nothing had happened"
    assert await ends(lambda done: volume.write(0, memoryview(b"x"), False, done)) == (errno.EIO,)
    assert (await ends(lambda done: volume.read(0, 1, done)))[0] == errno.EIO
    assert await ends(lambda done: volume.zero(0, 1, True, False, done)) == (errno.EIO,)
    with pytest.raises(OSError, match="durable"):
        volume.extents(0, 1)
    assert "fdatasync failed" in caplog.text
    volume.close()


async def test_a_growth_that_fails_to_become_durable_is_final_too(
    backing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has told of a lost page then, and will not tell again."""

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = RawFile(backing)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            file.grow(8 * MIB)
    assert await ends(file.sync) == (errno.EIO,)
    with pytest.raises(OSError, match="durable"):
        file.pwrite(0, b"x")
    file.close()


async def test_no_write_is_overtaken_by_zeroes_that_began_before(
    backing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that vanished left a zeroing in its thread; its successor writes there."""
    began, may_end = threading.Event(), threading.Event()
    file = RawFile(backing)
    really = file.zero

    def slow(offset: int, length: int, punch: bool) -> None:
        began.set()
        assert may_end.wait(DEADLINE)
        really(offset, length, punch)

    monkeypatch.setattr(file, "zero", slow)
    volume = Plain(file)
    order: list[str] = []
    all_done = asyncio.Event()
    volume.zero(0, MIB, True, False, lambda error: order.append("zero"))
    assert await asyncio.to_thread(began.wait, DEADLINE)
    volume.write(4096, memoryview(b"new"), False, lambda error: order.append("write"))
    volume.write(2 * MIB, memoryview(b"far"), False, lambda error: order.append("elsewhere"))
    volume.zero(0, MIB, True, False, lambda error: order.append("zero again"))
    volume.write(8192, memoryview(b"last"), True, lambda error: all_done.set())
    assert order == ["elsewhere"]
    may_end.set()
    await asyncio.wait_for(all_done.wait(), DEADLINE)
    assert order == ["elsewhere", "zero", "write", "zero again"]
    assert file.pread(8192, 4) == b"last"
    volume.close()
