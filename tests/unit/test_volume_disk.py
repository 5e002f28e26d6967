"""What a member keeps beside the data: over real files, torn, rotten, and forgotten."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage_replication.disk.activity import ActivityLog
from holdfast.storage_replication.disk.bitmap import BITS_PER_PAGE, PAGE, Bitmap, pages_for
from holdfast.storage_replication.disk.errors import DiskRefused
from holdfast.storage_replication.disk.files import FolderStore
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.disk.member import create, open_member
from holdfast.storage_replication.disk.undo import UndoLog
from holdfast.storage_replication.engine.fallback import GoingBack
from tests.simulation.volumes.disks import Loop, Power, SimFile

GEOMETRY = Geometry(extent=32 << 10, chunk=8 << 10, block=1 << 10)


class PlainFile:
    """A `DataFile` that syncs at once."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def pread(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def read_disk(self, offset: int, length: int) -> bytes:
        return self.pread(offset, length)

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        os.pwrite(self._fd, data, offset)

    def zero(self, offset: int, length: int, punch: bool) -> None:
        self.pwrite(offset, bytes(length))

    def clear(self, offset: int, length: int, done: Callable[[int], None]) -> None:
        self.zero(offset, length, True)
        done(0)

    def extents(self, offset: int, length: int) -> list[tuple[int, bool, bool]]:
        return [(length, False, False)]

    def sync(self, done: Callable[[int], None]) -> None:
        os.fdatasync(self._fd)
        done(0)


def opened(store: FolderStore) -> PlainFile:
    """The data of a member, which is larger than any other file of it."""
    file = store.open("data", 128 << 10)
    assert isinstance(file, PlainFile)
    return file


def member(folder: Path) -> FolderStore:
    """A new member of 128 KiB; its data is in `folder/data`."""
    store = FolderStore(folder, PlainFile)
    data = opened(store)
    create(store, data, uuid="u", member="a", size=128 << 10, geometry=GEOMETRY)
    return store


def reopen(folder: Path, boot: str = "1") -> object:
    store = FolderStore(folder, PlainFile)
    data = opened(store)
    return open_member(store, data, place=str(folder), boot=boot, undo_limit=1 << 20)


def test_a_damaged_superblock_is_refused_with_its_name_and_a_cure(tmp_path: Path) -> None:
    member(tmp_path)
    path = tmp_path / "superblock"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DiskRefused, match=r"superblock: its checksum is wrong\n  cure: "):
        reopen(tmp_path)


def test_data_smaller_than_the_volume_is_refused(tmp_path: Path) -> None:
    member(tmp_path)
    os.truncate(tmp_path / "data", 4096)
    store = FolderStore(tmp_path, PlainFile)
    with pytest.raises(DiskRefused, match="enlarge"):
        open_member(store, PlainFile(tmp_path / "data"), place="a", boot="1", undo_limit=1 << 20)


def test_a_member_knows_whether_its_memory_survived(tmp_path: Path) -> None:
    member(tmp_path)
    assert reopen(tmp_path, "1").superblock.intact  # type: ignore[attr-defined]
    assert reopen(tmp_path, "1").superblock.intact  # type: ignore[attr-defined]
    assert not reopen(tmp_path, "2").superblock.intact  # type: ignore[attr-defined]
    assert not reopen(tmp_path, "2").superblock.intact  # type: ignore[attr-defined]


def test_one_that_was_closed_loses_nothing_with_the_power(tmp_path: Path) -> None:
    member(tmp_path)
    ended: list[int] = []
    reopen(tmp_path, "1").close(ended.append)  # type: ignore[attr-defined]
    assert ended == [0]
    assert reopen(tmp_path, "2").superblock.intact  # type: ignore[attr-defined]


@given(st.sets(st.integers(0, 3 * BITS_PER_PAGE)), st.integers(0, 1000))
def test_a_bitmap_never_forgets_what_was_saved(bits: set[int], seed: int) -> None:
    """After a power loss: all that was saved, and nothing that was never set."""
    loop = Loop(seed)
    count = 3 * BITS_PER_PAGE + 1
    file = SimFile(Power(loop), pages_for(count) * PAGE)
    bitmap = Bitmap(file, count, "x")
    bitmap.fill(False)
    ended: list[int] = []
    bitmap.save(ended.append)
    loop.run(1.0)
    saved, later = set(sorted(bits)[::2]), set(sorted(bits)[1::2])
    for bit in saved:
        bitmap.set(bit)
    bitmap.save(ended.append)
    loop.run(2.0)
    for bit in later:
        bitmap.set(bit)
    bitmap.save(ended.append)
    file.lose_power()
    again = Bitmap(file, count, "x")
    again.load()
    assert ended == [0, 0]
    assert saved <= set(again) <= bits
    assert again.damaged == 0
    assert again.total() == len(set(again))


@given(st.integers(0, 2 * PAGE * 8 - 1))
def test_a_rotten_page_counts_as_all_set(bit: int) -> None:
    loop = Loop(0)
    count = BITS_PER_PAGE + 10
    file = SimFile(Power(loop), 2 * PAGE)
    bitmap = Bitmap(file, count, "x")
    bitmap.fill(False)
    bitmap.save(lambda _error: None)
    file.memory[bit >> 3] ^= 1 << (bit & 7)
    again = Bitmap(file, count, "x")
    again.load()
    assert again.damaged == 1
    expected = range(BITS_PER_PAGE) if bit < PAGE * 8 else range(BITS_PER_PAGE, count)
    assert list(again) == list(expected)


def test_an_extent_that_somebody_was_promised_does_not_become_inactive() -> None:
    """One is active, another is being made so, and all agree on both: the write comes after."""
    loop = Loop(0)
    file = SimFile(Power(loop), PAGE)
    bits = Bitmap(file, 100, "x")
    bits.fill(False)
    log = ActivityLog(bits, 0, lambda error: pytest.fail(str(error)))
    told: list[str] = []
    log.activate([1], lambda: told.append("1"))
    loop.run(1.0)
    log.activate([2], lambda: told.append("2"))
    log.activate([1, 3], lambda: told.append("1 and 3"))
    log.clean(1000)
    loop.run(2.0)
    assert told == ["1", "2", "1 and 3"]
    assert {1, 3} <= set(log.active)
    log.activate([4], lambda: None)
    loop.run(3.0)
    file.lose_power()
    again = Bitmap(file, 100, "x")
    again.load()
    assert {1, 3} <= set(again)


def test_who_is_told_may_want_more_and_waits_for_the_disk_again() -> None:
    loop = Loop(0)
    bits = Bitmap(SimFile(Power(loop), PAGE), 100, "x")
    bits.fill(False)
    log = ActivityLog(bits, 0, lambda error: pytest.fail(str(error)))
    told: list[str] = []

    def first() -> None:
        log.clean(1000)
        log.activate([3], lambda: told.append("3"))
        told.append("1")

    log.activate([1], first)
    log.activate([2], lambda: told.append("2"))
    log.activate([2, 1], lambda: told.append("2 and 1"))
    while "1" not in told:
        loop.run(loop.now + 0.0001)
    assert "3" not in told
    loop.run(1.0)
    assert sorted(told) == ["1", "2", "2 and 1", "3"]
    assert {1, 2, 3} <= set(log.active)


def test_pages_of_another_volume_are_not_believed() -> None:
    file = SimFile(Power(Loop(0)), PAGE)
    one = Bitmap(file, 100, "one")
    one.fill(False)
    one.save(lambda _error: None)
    other = Bitmap(file, 100, "other")
    other.load()
    assert other.total() == 100


@given(st.integers(0, 10_000))
def test_an_undo_log_has_every_chunk_that_may_have_been_overwritten(seed: int) -> None:
    """Torn at its end: what was saved is there; what is there was saved or not overwritten."""
    loop, random = Loop(seed), Random(seed)
    power = Power(loop)
    file = SimFile(power, 40 * (GEOMETRY.chunk + 512))
    log = UndoLog(file, 7, GEOMETRY)
    safe: dict[int, bytes] = {}
    for start in range(0, 12, 3):
        chunks = {c: random.randbytes(GEOMETRY.chunk) for c in range(start, start + 3)}
        log.save(chunks, lambda _error, chunks=chunks: safe.update(chunks))  # type: ignore[misc]
        if random.random() < 0.3:
            break
        loop.run(loop.now + 1.0)
    file.lose_power()
    again = UndoLog(file, 7, GEOMETRY)
    assert safe.items() <= dict(again.entries()).items()
    assert UndoLog(file, 8, GEOMETRY).saved == set()


def test_nobody_is_told_that_an_extent_is_active_before_it_is_durable() -> None:
    """Also not somebody who asks within the answer to another."""
    power = Power(Loop(1))
    bits = Bitmap(SimFile(power, PAGE), 64, "activity")
    log = ActivityLog(bits, 0, lambda _error: None)
    active: list[bool] = []

    def second() -> None:
        active.append(2 in log.active)

    log.activate([1], lambda: log.activate([2], second))
    power.loop.run(5.0)
    assert active == [True]


@pytest.mark.parametrize("seed", range(20))
def test_bits_read_after_a_failed_sync_survive_a_power_loss_once_saved(seed: int) -> None:
    """The kernel takes pages for clean that the disk refused, and shows them."""
    loop = Loop(seed)
    power = Power(loop)
    file = SimFile(power, PAGE)
    ended: list[int] = []
    first = Bitmap(file, 8, "id")
    first.fill(False)
    first.save(ended.append)
    loop.run(1.0)
    first.set(3)
    power.fault = 2
    first.save(ended.append)
    loop.run(2.0)
    file.reopen(False)
    second = Bitmap(file, 8, "id")
    second.load()
    assert second.test(3), "in the cache"
    second.save(ended.append)
    loop.run(3.0)
    assert ended == [0, 5, 0]
    file.lose_power()
    third = Bitmap(file, 8, "id")
    third.load()
    assert third.test(3)


def test_a_copy_whose_disk_failed_is_not_intact_for_the_next_process(tmp_path: Path) -> None:
    member(tmp_path)
    store = FolderStore(tmp_path, PlainFile)
    data = opened(store)
    for failed in (False, True):
        disk = open_member(store, data, place="a", boot="1", undo_limit=1 << 20)
        assert disk.superblock.intact
        if failed:
            disk.fail(5)
    again = open_member(store, data, place="a", boot="1", undo_limit=1 << 20)
    assert not again.superblock.intact


def test_a_failure_that_cannot_be_noted_is_noted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is full takes the superblock no more than the data."""
    store = member(tmp_path)
    data = opened(store)
    disk = open_member(store, data, place="a", boot="1", undo_limit=1 << 20)

    def full(name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(store, "replace", full)
        disk.fail(errno.ENOSPC)
        assert disk.superblock.intact
    disk.note_failure()
    assert not disk.superblock.intact
    again = open_member(store, data, place="a", boot="1", undo_limit=1 << 20)
    assert not again.superblock.intact


def test_going_back_that_cannot_be_noted_is_a_failure_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = member(tmp_path)
    disk = open_member(store, opened(store), place="a", boot="1", undo_limit=1 << 20)
    disk.change(resyncing=True, fallback=True)
    disk.open_undo()

    def full(name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no room")

    ended: list[int] = []
    synced: list[Callable[[int], None]] = []
    with monkeypatch.context() as patched:
        patched.setattr(disk.file, "sync", synced.append)
        GoingBack(disk, lambda _event: None, lambda _then: None).begin(ended.append)
        patched.setattr(store, "replace", full)
        synced.pop()(0)
    assert ended == [errno.ENOSPC]
    assert disk.failed == errno.ENOSPC
    assert disk.superblock.resyncing, "it is repeated"
