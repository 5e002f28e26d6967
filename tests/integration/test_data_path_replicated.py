"""Members of a replicated volume as processes: failover, freezing, coming back."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest

from holdfast.storage_replication import control
from holdfast.storage_replication.control import Bounds, Failed, Promote, Verify
from holdfast.storage_replication.engine.ports import (
    Differences,
    Frozen,
    MemberLost,
    MemberSilent,
    ResyncDone,
    ResyncStarted,
    Thawed,
)
from tests.support.nbd_client import Client
from tests.support.replicated import MIB, Volume, running
from tests.support.slow_relay import SlowRelay


def test_a_write_is_on_both_and_survives_its_primary(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        data = Random(1).randbytes(3 * MIB)
        with volume.client() as client:
            assert client.write(4096, data) == 0
        volume.nodes["a"].end()
        volume.fail_over("b")
        with volume.client() as client:
            assert client.read(4096, len(data)) == data
            assert client.write(0, b"b alone") == 0
            volume.restart("a")
            volume.settled()
            assert client.write(8 * MIB, b"both") == 0
            assert client.flush() == 0
        volume.same()
        # The activity log names a 4 MiB extent; only the blocks that differ are sent.
        (first, *_) = volume.nodes["b"].soon(ResyncDone)
        assert first.bytes <= 64 << 10


def test_the_restarted_primary_goes_on_with_clients_that_come_back(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        with volume.client() as client:
            assert client.write(0, b"before") == 0
        volume.nodes["a"].end()
        volume.restart("a")
        with volume.client() as client:
            assert client.read(0, 6) == b"before"
            assert client.write(0, b"after ") == 0
        volume.settled()
        volume.same()
        assert volume.record.in_sync == {"a", "b"}


@pytest.mark.parametrize("trouble", ["refuses", "silent"])
def test_writes_freeze_until_the_record_can_be_changed(tmp_path: Path, trouble: str) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        primary = volume.primary
        volume.obeys = trouble
        with volume.client() as client, volume.client() as reader:
            assert client.write(0, b"one") == 0
            volume.nodes["b"].end()
            volume.until(lambda: primary.state and primary.state.frozen, "frozen")
            client.send_write(4096, b"two")
            assert reader.read(0, 3) == b"one"
            assert volume.record.in_sync == {"a", "b"}
            if trouble == "silent":
                primary.detach()
                primary.attach()
            volume.obeys = "yes"
            assert client.reply() == 0
            assert volume.record.in_sync == {"a"}
        assert primary.soon(Frozen)
        assert primary.soon(Thawed)
        assert primary.soon(MemberLost)


def test_a_member_that_stands_still_is_told_of_and_waited_for(tmp_path: Path) -> None:
    bounds = Bounds(member_timeout=60.0)
    with running(Volume(tmp_path, bounds=bounds)) as volume:
        volume.settled()
        primary, replica = volume.primary, volume.nodes["b"]

        def silent() -> bool:
            return primary.state is not None and primary.state.members["b"].silent > 0

        with volume.client() as client:
            replica.send_signal(signal.SIGSTOP)
            client.send_write(0, b"one")
            (told,) = primary.soon(MemberSilent)
            assert 1.5 <= told.seconds < 60
            volume.until(silent, "the state says so")
            assert volume.record.in_sync == {"a", "b"}
            replica.send_signal(signal.SIGCONT)
            assert client.reply() == 0
            volume.until(lambda: not silent(), "heard again")
        assert volume.record.in_sync == {"a", "b"}
        assert not primary.happened(MemberLost)


def test_past_epochs_are_refused(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        volume.demote("a")
        volume.promote("b")
        volume.settled()
        reply = volume.nodes["a"].order(
            Promote(
                id=volume.id(),
                epoch=1,
                counted=True,
                members=volume.others("a"),
                valid_until=0.0,
            )
        )
        assert isinstance(reply, Failed)
        assert "epoch 1 is past" in reply.problem
        assert not volume.nodes["a"].nbd.exists()


def test_verify_finds_bit_rot_and_repairs_it(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        with volume.client() as client:
            assert client.write(0, Random(2).randbytes(MIB)) == 0
            assert client.flush() == 0
        primary, replica = volume.nodes["a"], volume.nodes["b"]
        with replica.file.open("r+b") as file:
            file.seek(123 * 4096)
            file.write(b"rot")
        for expected, repair in (([(123 * 4096, 4096)], True), ([], False)):
            before = len(primary.happened(Differences))
            primary.done(Verify(id=volume.id(), member="b", repair=repair))
            volume.until(lambda: len(primary.happened(Differences)) > before, "verified")  # noqa: B023
            assert primary.happened(Differences)[-1].ranges == expected
        volume.same()


def test_a_hostile_service_harms_nothing(tmp_path: Path) -> None:
    with running(Volume(tmp_path)) as volume:
        volume.settled()
        primary = volume.primary
        for nonsense in (b"{}", b"\xff\xfe", b"[" * 100_000, b'{"type":"promote","id":1}'):
            primary.replies.pop(0, None)
            primary.send(nonsense + b"\n")
            reply = volume.until(lambda: primary.replies.get(0), "refused")
            assert isinstance(reply, Failed)
        primary.send(b"x" * (control.MAX_LINE + 1))
        volume.until(lambda: primary.lost, "the connection is closed")
        primary.attach()
        with volume.client() as client:
            assert client.write(0, b"fine") == 0


class Relayed(Volume):
    """Primaries reach `b` over a link that takes `speed` bytes a second."""

    def __init__(self, folder: Path, size: int, speed: float) -> None:
        self.relay = SlowRelay(speed)
        super().__init__(folder, size=size)

    def others(self, name: str) -> dict[str, control.Member]:
        """With the relay for `b`."""
        found = super().others(name)
        if "b" in found:
            self.relay.target = found["b"].port
            found["b"] = msgspec.structs.replace(found["b"], port=self.relay.port)
        return found

    def stop(self) -> None:
        """The relay, too."""
        super().stop()
        self.relay.close()


@contextlib.contextmanager
def saturated(client: Client, size: int) -> Iterator[list[float]]:
    """Writes all over the first `size` bytes, 32 at a time; the time of each answer."""
    block, depth = 256 << 10, 32
    data, answered, ended = Random(3).randbytes(block), list[float](), threading.Event()

    def write() -> None:
        sent = 0
        while not ended.is_set() or sent > len(answered):
            if not ended.is_set():
                client.send_write(sent * block % size, data)
                sent += 1
            if ended.is_set() or sent - len(answered) >= depth:
                assert client.reply() == 0
                answered.append(time.monotonic())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield answered
    finally:
        ended.set()
        writer.join()


def dirtied(volume: Volume, dirty: int) -> None:
    """Its last bytes, as many."""
    data = Random(4).randbytes(MIB)
    with volume.client() as client:
        for offset in range(volume.size - dirty, volume.size, MIB):
            assert client.write(offset, data) == 0


def test_a_member_gets_in_sync_over_a_link_slower_than_the_clients(tmp_path: Path) -> None:
    """They wait for room on it; else it is closed, again and again."""
    size, dirty = 256 * MIB, 12 * MIB
    with running(Relayed(tmp_path, size, speed=24 * MIB)) as volume:
        volume.settled()
        primary, replica = volume.primary, volume.nodes["b"]
        replica.end()
        with volume.client() as client:
            dirtied(volume, dirty)
            lost = len(primary.soon(MemberLost))
            resynced = len(primary.happened(ResyncDone))
            started = len(primary.happened(ResyncStarted))
            replica.launch()
            volume.until(lambda: len(primary.happened(ResyncStarted)) > started, "it begins")
            with saturated(client, size - dirty) as answered:
                volume.until(lambda: len(primary.happened(ResyncDone)) > resynced, "resynced")
                volume.until(lambda: volume.record.in_sync == {"a", "b"}, "in sync")
            assert len(primary.happened(MemberLost)) == lost
            pauses = [after - before for before, after in pairwise(answered)]
            assert max(pauses) < volume.bounds.member_timeout
            assert client.flush() == 0
        volume.same()


def test_a_hung_member_in_a_resync_holds_clients_no_longer_than_its_time_out(
    tmp_path: Path,
) -> None:
    size, dirty = 256 * MIB, 32 * MIB
    with running(Relayed(tmp_path, size, speed=4 * MIB)) as volume:
        volume.settled()
        primary, replica = volume.primary, volume.nodes["b"]
        replica.end()
        with volume.client() as client:
            dirtied(volume, dirty)
            lost = len(primary.soon(MemberLost))
            with saturated(client, size - dirty) as answered:
                replica.launch()
                volume.until(
                    lambda: primary.state and primary.state.members["b"].resync, "a resync"
                )
                replica.send_signal(signal.SIGSTOP)
                volume.until(lambda: len(primary.happened(MemberLost)) > lost, "it is lost")
                known = len(answered)
                volume.until(lambda: len(answered) > known or None, "writes go on")
            replica.send_signal(signal.SIGCONT)
            pauses = [after - before for before, after in pairwise(answered)]
            assert max(pauses) < volume.bounds.member_timeout + 1.0
