"""What a storage service makes of a data path that it cannot start, or end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from holdfast.storage_replication.memory import Memory
from holdfast.storage_replication.replicated import supervisor
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.storage_replication.replicated.asks import Asks
from holdfast.storage_replication.replicated.place import SUPERBLOCK, Place
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.storage_replication.replicated.roster import Roster
from holdfast.storage_replication.replicated.supervisor import Supervisor
from holdfast.storage_replication.replicated.tenancy import Tenancy
from tests.support.lone_copy import Known, lone_place, lone_record
from tests.support.nats import free_ports
from tests.support.waiting import until


def place(folder: Path, port: int = 0) -> Place:
    return lone_place(folder, folder / "a.raw", "4KiB", port=port)


@asynccontextmanager
async def supervised(
    where: Place, instance: str
) -> AsyncIterator[tuple[Supervisor, asyncio.Task[None], list[str]]]:
    """Beside it, why it was unable to, or why a data path ended."""
    unable: list[str] = []

    async def resume() -> None:
        return

    known = Known(lone_record(4096, instance))
    paths = Supervisor(where, known, lambda _: None, resume, unable.append, unable.append)  # type: ignore[arg-type]
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


@contextmanager
def says_nothing(where: Place) -> Iterator[None]:
    """A data path that takes connections, as one does that hangs on its disk."""
    where.folder.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(where.control_socket))
        listening.listen()
        yield


async def test_one_that_hangs_and_cannot_be_killed_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kill(_pid: int) -> bool:
        return False

    monkeypatch.setattr(supervisor, "kill", kill)
    monkeypatch.setattr(supervisor, "START_TIMEOUT", 0.1)
    monkeypatch.setattr(supervisor, "BACKOFF", (0.01,))
    where = place(tmp_path)
    instance = where.make_instance()
    with says_nothing(where):
        async with supervised(where, instance) as (_, _, unable):
            await until(lambda: bool(unable), what="that there is none is told")
    assert "cannot be killed" in unable[0]


async def test_one_that_does_not_come_to_its_sockets_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_TIMEOUT", 0.1)
    monkeypatch.setattr(supervisor, "BACKOFF", (0.01,))
    monkeypatch.setattr(Place, "command", lambda *_: ["sleep", "60"])
    where = place(tmp_path)
    async with supervised(where, where.make_instance()) as (paths, _, unable):
        await until(lambda: bool(unable), what="that there is none is told")
        assert paths._process is not None
        paths._process._popen.kill()
        await paths._process.ended.wait()
    assert "cannot be started" in unable[0]


async def test_one_that_listens_where_it_is_looked_for_no_more_is_started_anew(
    tmp_path: Path,
) -> None:
    """The cluster file was changed, and the service restarted: the data path outlives that."""
    before, now = (place(tmp_path, port) for port in free_ports(2))
    instance = before.make_instance()
    async with supervised(before, instance) as (paths, _, _):
        await until(paths.ready.is_set, what="it runs")
        assert paths.state is not None
        pid = paths.state.pid
    async with supervised(now, instance) as (paths, _, ends):
        port = now.hosts["a"][1]
        await until(
            lambda: paths.state is not None and paths.state.port == port, what="it is there"
        )
        assert paths.state is not None
        assert paths.state.pid != pid
        assert paths.state.intact
        assert "and was killed" in ends[0]
        pid = paths.state.pid
    await kill(pid)


@pytest.mark.parametrize("part", [Asks, Roster, Tenancy, Supervisor])
async def test_a_part_of_a_service_that_ends_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type
) -> None:
    """A question that nobody answers any more would freeze the volume for good."""

    async def broken(_: object) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(part, "run", broken)
    reports = Reports("a", lambda _: None, lambda: None)
    known = Known(lone_record(4096, "lost"))
    agent = Agent(place(tmp_path), "boot", known, Memory(tmp_path), reports)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="unexpected"):
        async with asyncio.timeout(5.0):
            await agent.run()
