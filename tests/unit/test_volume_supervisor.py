"""What a storage service makes of a data path that it cannot start, or end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.config.volumes import ReplicatedVolume, VolumeMember
from holdfast.storage_replication.replicated.place import SUPERBLOCK, Place
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.volumes import MemberRecord, VolumeRecord
from tests.support.waiting import until


class Known:
    """A register that knows one record."""

    def __init__(self, instance: str) -> None:
        self._record = VolumeRecord(
            volume="v", uuid="u", size=4096, epoch=1, primary="a", in_sync=["a"],
            members={"a": MemberRecord(instance=instance)},
        )  # fmt: skip

    def record(self, _volume: str) -> VolumeRecord:
        return self._record


def place(folder: Path) -> Place:
    member = VolumeMember(path=str(folder / "a.raw"), port=0)
    return Place(
        volume="v", node="a", folder=folder / "v", secrets=folder / "none",
        config=ReplicatedVolume(size="4KiB", members={"a": member}),
        hosts={"a": ("127.0.0.1", 0)}, member_timeout=1.5, frozen_after=10.0,
    )  # fmt: skip


@asynccontextmanager
async def supervised(
    where: Place, instance: str
) -> AsyncIterator[tuple[Supervisor, asyncio.Task[None], list[str]]]:
    """Beside it, why it was unable to."""
    unable: list[str] = []

    async def resume() -> None:
        return

    known = Known(instance)
    paths = Supervisor(where, known, lambda _: None, resume, lambda _: None, unable.append)  # type: ignore[arg-type]
    task = asyncio.create_task(paths.run())
    try:
        yield paths, task, unable
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("name", "instance", "problem"),
    [(SUPERBLOCK, "", "its checksum is wrong"), ("instance", "i", "has lost the files")],
)
async def test_a_damaged_file_of_one_copy_ends_no_service(
    tmp_path: Path, name: str, instance: str, problem: str
) -> None:
    where = place(tmp_path)
    where.folder.mkdir()
    (where.folder / name).write_bytes(b"\xff rotten")
    async with supervised(where, instance) as (paths, task, unable):
        await until(lambda: bool(unable) or task.done(), what="it says what is wrong")
        assert not task.done()
        assert problem in paths.problem
