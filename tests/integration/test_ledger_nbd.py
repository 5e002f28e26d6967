"""The ledger on a block device over NBD: real data paths and ledgers, killed in mid-write."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.ledger import address, blocks, record
from holdfast.ledger.client import LedgerClient
from holdfast.ledger.device import Device, DeviceError, RefusedError
from holdfast.ledger.device_log import DeviceLog
from holdfast.ledger.errors import JournalLockedError, UnavailableError, UnfinishedError
from holdfast.ledger.journal import Journal
from holdfast.nbd_protocol import Transmission
from holdfast.storage_replication.interfaces import Done
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.server import Server
from tests.support.data_path import DataPath, running
from tests.support.ledgers import ledger, refused_start
from tests.support.memory_volume import MemoryVolume

SIZE = 8 * 1024 * 1024
PATIENCE = 30.0


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[DataPath]:
    """A data path that serves a volume of zeros."""
    with running(DataPath(tmp_path, size=SIZE)) as path:
        yield path


def at(volume: DataPath) -> str:
    return f"unix:{volume.socket}?export=v1"


def opened(volume: DataPath, epoch: int | None = None, *, seconds: float = PATIENCE) -> Journal:
    log = DeviceLog(address.parse(at(volume)), seconds=seconds)
    return Journal(log, log.found, epoch)


def test_entries_are_acknowledged_once_and_listed(volume: DataPath) -> None:
    with ledger(at(volume), "--epoch", "3") as first:
        assert first.post("a", "one") == (201, {"id": "a", "index": 1, "epoch": 3})
        assert first.post("b", "zwei é 💾" * 168) == (201, {"id": "b", "index": 2, "epoch": 3})
        assert first.post("a", "other") == (200, {"id": "a", "index": 1, "epoch": 3})
        assert first.get("/healthz")[1] == {"entries": 2, "epoch": 3, "pid": first.process.pid}
        first.process.terminate()
        assert first.process.wait(PATIENCE) == 0
    with ledger(at(volume), "--epoch", "4") as second:
        assert second.post("c", "three")[1] == {"id": "c", "index": 3, "epoch": 4}
        listed = second.get("/entries")[1]
        assert isinstance(listed["entries"], list)
        assert [entry["note"] for entry in listed["entries"]] == ["one", "zwei é 💾" * 168, "three"]


def test_nothing_acknowledged_is_lost_when_ledger_and_data_path_are_killed(
    volume: DataPath,
) -> None:
    """In the middle of writes: the ledger, the data path under a ledger that goes on, and both."""
    with ledger(at(volume), "--epoch", "1") as first:
        where = first.address
        client = LedgerClient([first.url], request_timeout=2.0)
        client.start()
        assert client.wait_acknowledged(5, PATIENCE)
        first.kill()
    with ledger(at(volume), "--epoch", "2", listen=where) as second:
        for _ in range(3):
            assert client.wait_acknowledged(5, PATIENCE)
            volume.kill()
            volume.start()
        assert client.wait_acknowledged(5, PATIENCE)
        assert second.get("/healthz")[0] == 200
        volume.kill()
        second.kill()
    volume.start()
    with ledger(at(volume), "--epoch", "3", listen=where):
        assert client.wait_acknowledged(5, PATIENCE)
        report = client.finish()
    assert report.ok, report
    assert report.acknowledged >= 30
    assert report.failed_requests > 0


def test_a_restarted_data_path_fails_no_request(volume: DataPath) -> None:
    with ledger(at(volume)) as running_on:
        for number in range(3):
            assert running_on.post(f"before-{number}")[0] == 201
            assert volume.stop() == 0
            volume.start()
            assert running_on.post(f"after-{number}")[0] == 201
        assert running_on.get("/healthz")[1]["entries"] == 6


def test_a_second_ledger_is_refused_until_the_first_is_dead(volume: DataPath) -> None:
    with ledger(at(volume), "--epoch", "1") as first:
        first.process.send_signal(signal.SIGSTOP)
        code, error = refused_start(at(volume), "--epoch", "2")
        assert (code, "another ledger on this machine" in error) == (3, True)
        first.kill()
    with ledger(at(volume), "--epoch", "2") as second:
        assert second.post("a")[0] == 201


def test_an_overtaken_epoch_is_refused_for_good(volume: DataPath) -> None:
    with ledger(at(volume), "--epoch", "5"):
        pass  # killed before its first entry
    code, error = refused_start(at(volume), "--epoch", "4")
    assert (code, "at epoch 5" in error) == (4, True)


def test_a_ledger_that_was_overtaken_unawares_writes_nothing(tmp_path: Path) -> None:
    """As one on a host that stood still: here the second comes by TCP, past the claim."""
    with (
        running(DataPath(tmp_path, size=SIZE), "--tcp", "127.0.0.1:0") as volume,
        ledger(at(volume), "--epoch", "1") as first,
    ):
        assert first.post("a")[0] == 201
        with ledger(f"tcp:127.0.0.1:{volume.port}?export=v1", "--epoch", "2") as second:
            assert second.post("b")[1]["index"] == 2
            status, answer = first.post("c")
            assert (status, "another ledger has written here" in str(answer)) == (503, True)
            assert first.get("/healthz")[0] == 503
            assert first.post("a")[0] == 503, "it takes no part any more"
            assert second.post("c")[1]["index"] == 3


def test_a_data_path_that_says_nothing_is_trouble_until_it_answers(volume: DataPath) -> None:
    journal = opened(volume, 1, seconds=0.5)
    journal.append("a", "")
    os.kill(volume.pid, signal.SIGSTOP)
    with pytest.raises(UnavailableError, match="no answer"):
        journal.append("b", "")
    assert "no answer" in (journal.trouble() or "")
    assert journal.append("a", "")[1] is False
    os.kill(volume.pid, signal.SIGCONT)
    assert journal.append("c", "")[0].index == 2
    assert journal.trouble() is None
    journal.close()


class Holding(MemoryVolume):
    """Takes writes and, while `holding`, does not answer them."""

    holding = False

    def write(self, offset: int, data: memoryview, fua: bool, done: Done) -> None:
        """Applied at once, answered perhaps never."""
        super().write(offset, data, fua, (lambda _error: None) if self.holding else done)


@pytest.mark.parametrize("applied", [True, False])
async def test_a_write_without_an_answer_is_finished_before_any_other(
    tmp_path: Path, applied: bool
) -> None:
    volume = Holding(SIZE)
    server = Server(Export(name="v1", size=SIZE), volume)
    await server.listen_unix(tmp_path / "nbd.sock")
    where = address.parse(f"unix:{tmp_path}/nbd.sock")
    log = await asyncio.to_thread(DeviceLog, where, seconds=1.0)
    journal = await asyncio.to_thread(Journal, log, log.found, 1)
    volume.holding = True
    with pytest.raises(UnfinishedError, match="no answer"):
        await asyncio.to_thread(journal.append, "b", "")
    assert len(journal) == 0
    volume.holding = False
    if not applied:
        volume.data[2 * blocks.BLOCK :] = bytes(SIZE - 2 * blocks.BLOCK)
    entry, is_new = await asyncio.to_thread(journal.append, "c", "")
    assert ([one.id for one in journal.entries(0, 9)], entry.index, is_new) == (["b", "c"], 2, True)
    assert await asyncio.to_thread(journal.append, "b", "") == (journal.entries(0, 1)[0], False)
    found = blocks.scan(lambda at, length: bytes(volume.data[at : at + length]), SIZE)
    assert found.entries == journal.entries(0, 9)
    journal.close()
    await server.close(1.0)


def test_a_full_device_is_said(tmp_path: Path) -> None:
    with (
        running(DataPath(tmp_path, size=5 * blocks.BLOCK + 100)) as volume,
        ledger(at(volume), "--epoch", "1") as running_on,
    ):
        assert [running_on.post(f"{n}")[0] for n in range(4)] == [201, 201, 201, 503]
        status, answer = running_on.post("3")
        assert (status, "the device is full: 20480 bytes" in str(answer["error"])) == (503, True)
        assert running_on.post("0")[0] == 200
        assert running_on.get("/healthz")[0] == 503


def test_a_device_that_holds_something_else_is_left_alone(volume: DataPath) -> None:
    with volume.file.open("r+b") as file:
        file.seek(1024)
        file.write(b"a file system")
    before = volume.file.read_bytes()
    code, error = refused_start(at(volume))
    assert (code, "not a ledger's device" in error, "cure: give the right one" in error) == (
        6,
        True,
        True,
    )
    assert volume.file.read_bytes() == before


def test_a_damaged_record_refuses_the_start(volume: DataPath) -> None:
    with ledger(at(volume)) as running_on:
        for entry_id in ("a", "b", "c"):
            running_on.post(entry_id)
    with volume.file.open("r+b") as file:
        file.seek(2 * blocks.BLOCK + 40)
        file.write(b"\0")
    code, error = refused_start(at(volume))
    assert (code, "record 2 (byte 8192) is corrupt" in error) == (5, True)


def test_a_torn_record_is_zeroed_at_the_next_start(volume: DataPath) -> None:
    journal = opened(volume)
    journal.append("a", "")
    journal.close()
    torn = bytearray(blocks.padded(record.encode(record.Entry(2, 0, "b", "x" * 9000))))
    torn[blocks.SECTOR : 2 * blocks.SECTOR] = bytes(blocks.SECTOR)
    with volume.file.open("r+b") as file:
        file.seek(2 * blocks.BLOCK)
        file.write(torn)
    with ledger(at(volume)) as second:
        assert second.get("/healthz")[1]["entries"] == 1
        assert second.post("b", "short")[1]["index"] == 2
        second.kill()
        assert second.process.stderr is not None
        assert "zeroing 9" in second.process.stderr.read()
    assert volume.file.read_bytes()[3 * blocks.BLOCK :].strip(b"\0") == b""


def test_what_cannot_hold_a_journal_is_refused(tmp_path: Path) -> None:
    with running(DataPath(tmp_path, size=SIZE), "--read-only") as volume:
        code, error = refused_start(at(volume))
        assert (code, "read-only" in error) == (6, True)
        wrong = f"unix:{volume.socket}?export=v2"
        code, error = refused_start(wrong)
        assert (code, "the server refuses 'v2'" in error) == (6, True)
    with running(DataPath(tmp_path, size=blocks.BLOCK)) as tiny:
        assert "too few" in refused_start(at(tiny))[1]
    assert refused_start("unix:nowhere")[0] == 2


def test_a_socket_may_be_deeper_than_an_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    with (
        running(DataPath(folder, size=SIZE)) as volume,
        ledger(at(volume)) as running_on,
    ):
        assert running_on.post("a")[0] == 201
        code, error = refused_start(at(volume))
        assert (code, "another ledger on this machine" in error) == (3, True)


def test_one_journal_has_one_holder_in_a_process_too(volume: DataPath) -> None:
    journal = opened(volume)
    with pytest.raises(JournalLockedError):
        opened(volume)
    journal.close()
    with pytest.raises(UnavailableError, match="closed"):
        journal.append("a", "")
    opened(volume).close()


def test_a_server_that_is_gone_is_an_error_after_the_deadline(volume: DataPath) -> None:
    device = Device(address.parse(at(volume)), seconds=0.3)
    volume.kill()
    with pytest.raises(DeviceError, match="no answer for"):
        device.read(0, 512)


class Limited(Export, frozen=True, kw_only=True):
    """An export that offers less than ours do."""

    without: Transmission

    def flags(self, *, structured: bool) -> Transmission:
        return super().flags(structured=structured) & ~self.without


async def test_without_fua_a_write_is_followed_by_a_flush(tmp_path: Path) -> None:
    volume = MemoryVolume(SIZE)
    export = Limited(name="v1", size=SIZE, without=Transmission.SEND_FUA)
    server = Server(export, volume)
    await server.listen_unix(tmp_path / "nbd.sock")
    where = address.parse(f"unix:{tmp_path}/nbd.sock")
    device = await asyncio.to_thread(Device, where)
    await asyncio.to_thread(device.write, 4096, b"x" * 4096)
    assert volume.data[4096:8192] == b"x" * 4096
    assert volume.calls[-2:] == ["write", "flush"]
    device.close()
    await server.close(1.0)


async def test_a_server_that_makes_nothing_durable_is_refused(tmp_path: Path) -> None:
    durable = Transmission.SEND_FUA | Transmission.SEND_FLUSH
    server = Server(Limited(name="v1", size=SIZE, without=durable), MemoryVolume(SIZE))
    await server.listen_unix(tmp_path / "nbd.sock")
    with pytest.raises(RefusedError, match="nothing durable"):
        await asyncio.to_thread(Device, address.parse(f"unix:{tmp_path}/nbd.sock"))
    await server.close(1.0)
