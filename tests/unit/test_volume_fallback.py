"""Going back behind an undo log: all of it or nothing, and beside whatever else there is to do."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.events import Draft
from holdfast.events.storage import VolumeFellBack
from holdfast.storage_replication.control import FallBack, Promote
from holdfast.storage_replication.data_path import orders
from holdfast.storage_replication.data_path.arguments import MemberSettings
from holdfast.storage_replication.data_path.door import Door
from holdfast.storage_replication.data_path.node import Node, NotNow
from holdfast.storage_replication.data_path.opening import confirmed, open_disk
from holdfast.storage_replication.data_path.orders import Orders
from holdfast.storage_replication.data_path.state import state
from holdfast.storage_replication.data_path.waiting import ended
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.fallback import BATCH, FallbackRefused, GoingBack
from holdfast.storage_replication.engine.ports import FallbackLost, FellBack
from holdfast.storage_replication.replicated.happened import tell
from holdfast.storage_replication.replicated.reports import Reports
from tests.support.waiting import until

CHUNK = 64 << 10
RECORD = 512 + CHUNK
BATCHES = 3
"""Of four chunks."""
SIZE = 4 * BATCHES * CHUNK
OLD, NEW = b"O" * SIZE, b"N" * SIZE


def opened(folder: Path, size: int = SIZE) -> MemberDisk:
    """Over real files."""
    given = MemberSettings(folder=folder, member="b", uuid="u", size=size, listen=("127.0.0.1", 0))
    return open_disk(folder / "data.raw", given, "boot")[1]


async def overwritten(folder: Path, size: int = SIZE, batch: int = 4) -> MemberDisk:
    """In a resync: all of it was old, is saved, and is new now."""
    disk = opened(folder, size)
    await confirmed(disk)
    disk.change(resyncing=True, fallback=True, resyncs=1)
    undo = disk.open_undo()
    for first in range(0, size // CHUNK, batch):
        chunks = dict.fromkeys(range(first, min(first + batch, size // CHUNK)), b"O" * CHUNK)
        assert not await ended(lambda done, chunks=chunks: undo.save(chunks, done))  # type: ignore[misc]
    disk.file.pwrite(0, b"N" * size)
    return disk


def rot(folder: Path, record: int) -> None:
    """One byte of one record."""
    with (folder / "undo").open("r+b") as log:
        log.seek(record * RECORD + 5000)
        log.write(b"?")


def forget_the_mark(folder: Path) -> None:
    """As if the last save had not ended."""
    with (folder / "undo").open("r+b") as log:
        log.seek(4 * BATCHES * RECORD)
        log.write(bytes(512))


async def went_back(disk: MemberDisk) -> tuple[int, list[object]]:
    """How it ended, and what was reported."""
    said: list[object] = []
    soon = asyncio.get_running_loop().call_soon
    return await ended(GoingBack(disk, said.append, soon).begin), said


async def test_all_is_undone(tmp_path: Path) -> None:
    disk = await overwritten(tmp_path)
    assert await went_back(disk) == (0, [])
    assert disk.file.pread(0, SIZE) == OLD
    assert not disk.superblock.resyncing


@pytest.mark.parametrize("record", range(4 * BATCHES))
async def test_a_log_that_rotted_leads_nowhere(tmp_path: Path, record: int) -> None:
    disk = await overwritten(tmp_path)
    rot(tmp_path, record)
    error, said = await went_back(disk)
    assert (bool(error), said) == (True, [FallbackLost()])
    assert disk.file.pread(0, SIZE) == NEW, "no mixture"
    assert (disk.superblock.resyncing, disk.superblock.fallback) == (True, False)
    with pytest.raises(FallbackRefused, match=r"damaged\n  cure: let the resync end"):
        await went_back(disk)


@pytest.mark.parametrize("record", range(4 * BATCHES))
async def test_so_it_is_after_a_crash(tmp_path: Path, record: int) -> None:
    before = await overwritten(tmp_path)
    rot(tmp_path, record)
    before.file.close()  # type: ignore[attr-defined]
    disk = opened(tmp_path)
    assert disk.undo_rotted
    with pytest.raises(FallbackRefused):
        await went_back(disk)
    assert disk.file.pread(0, SIZE) == NEW


async def test_a_save_that_a_crash_tore_was_not_waited_for(tmp_path: Path) -> None:
    before = await overwritten(tmp_path)
    before.file.pwrite(8 * CHUNK, b"O" * 4 * CHUNK)  # not overwritten before it was done
    forget_the_mark(tmp_path)
    rot(tmp_path, 9)
    before.file.close()  # type: ignore[attr-defined]
    disk = opened(tmp_path)
    assert await went_back(disk) == (0, [])
    assert disk.file.pread(0, SIZE) == OLD


@pytest.mark.parametrize(
    "begin", [b"HFUN" + bytes(3) + b"\x01", b"HFU2" + bytes(3) + b"\x09", b"?"]
)
async def test_a_log_that_this_version_did_not_write_is_not_taken_for_an_empty_one(
    tmp_path: Path, begin: bytes
) -> None:
    before = await overwritten(tmp_path, 4 * CHUNK)
    before.file.close()  # type: ignore[attr-defined]
    with (tmp_path / "undo").open("r+b") as log:
        log.write(begin)
        log.seek(4 * RECORD)
        log.write(bytes(512))
    disk = opened(tmp_path, 4 * CHUNK)
    assert disk.undo_rotted
    with pytest.raises(FallbackRefused):
        await went_back(disk)


async def test_others_have_their_turns_meanwhile(tmp_path: Path) -> None:
    count = 2 * BATCH + 1
    disk = await overwritten(tmp_path, count * CHUNK, BATCH)
    turns: deque[Callable[[], None]] = deque()
    told: list[int] = []
    going = GoingBack(disk, lambda _event: None, turns.append)
    going.begin(told.append)
    await until(lambda: bool(turns))
    progress = []
    while turns:
        progress.append(going.progress.done // CHUNK)
        turns.popleft()()
    assert progress == [BATCH, 2 * BATCH, 3 * BATCH + 1, 4 * BATCH + 1]
    assert going.progress.total == 2 * count * CHUNK


def node_of(folder: Path, disk: MemberDisk, said: list[Any]) -> Node:
    """With nobody to serve."""
    return Node(disk, lambda _size: None, Door("v", folder / "nbd", None, None), None, said.append)


async def test_what_was_saved_is_for_no_other_user(tmp_path: Path) -> None:
    (await overwritten(tmp_path)).file.close()  # type: ignore[attr-defined]
    assert [(tmp_path / name).stat().st_mode & 0o77 for name in ("data.raw", "undo")] == [0, 0]


async def test_one_that_takes_long_goes_on_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "DEADLINE", 0.0)
    said: list[Any] = []
    disk = await overwritten(tmp_path, (BATCH + 1) * CHUNK, BATCH)
    node = node_of(tmp_path, disk, said)
    at_work = Orders(node)
    answers = [(await at_work.carry_out(FallBack(id=n, epoch=0))).warning for n in (1, 2)]
    assert answers == ["it goes on", "it goes on"]
    now = state(node, "v", 1).going_back
    assert now is not None
    assert now.total == 2 * (BATCH + 1) * CHUNK
    with pytest.raises(NotNow, match="going back"):
        await at_work.carry_out(Promote(id=3, epoch=1, counted=False, members={}, valid_until=0.0))
    await until(lambda: node.going_back is None)
    assert [one.what for one in said] == [FellBack()]
    assert disk.file.pread(0, SIZE) == OLD


async def test_the_end_of_the_data_path_does_not_wait_for_it(tmp_path: Path) -> None:
    said: list[Any] = []
    disk = await overwritten(tmp_path, (BATCH + 1) * CHUNK, BATCH)
    node = node_of(tmp_path, disk, said)
    at_work = Orders(node)
    order = asyncio.create_task(at_work.carry_out(FallBack(id=1, epoch=0)))
    for _ in range(3):
        await asyncio.sleep(0)
    assert node.going_back is not None
    at_work.end()
    with pytest.raises(OSError, match="cancel"):
        await order
    assert (disk.failed, disk.superblock.fallback) == (0, True), "it can be repeated"
    assert not (await at_work.carry_out(FallBack(id=2, epoch=0))).warning
    assert disk.file.pread(0, SIZE) == OLD


async def test_a_refusal_names_its_cure(tmp_path: Path) -> None:
    disk = await overwritten(tmp_path)
    rot(tmp_path, 3)
    at_work = Orders(node_of(tmp_path, disk, []))
    with pytest.raises(HoldfastError, match="restore the volume from a backup"):
        await at_work.carry_out(FallBack(id=1, epoch=0))


async def test_what_was_undone_has_the_request_as_its_cause_however_long_it_took(
    tmp_path: Path,
) -> None:
    """It is an action, and `holdfast audit verify` wants to know whose."""
    said: list[Draft] = []
    disk = await overwritten(tmp_path)
    events: list[Any] = []
    node = node_of(tmp_path, disk, events)
    asked = Reports("b", said.append, lambda: None).asked("v", "ana", "fall_back_volume")
    order = FallBack(id=1, epoch=0, incident=asked.incident, cause=asked.cause)
    await Orders(node).carry_out(order)
    node.leave()
    # The service that asked for it is another one by now.
    tell(Reports("b", said.append, lambda: None), "v", "b", events[-1])
    fell_back = said[-1]
    assert isinstance(fell_back.data, VolumeFellBack)
    assert (fell_back.cause, fell_back.incident) == (asked.cause, asked.incident)
