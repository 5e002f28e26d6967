"""What a primary keeps for members that do not keep up, measured as the memory of its process."""

import errno
import signal
import threading
from pathlib import Path

import pytest

from holdfast.clock import monotonic
from holdfast.storage_replication.control import Bounds, MemberState
from holdfast.storage_replication.data_path.link import LIMIT
from holdfast.storage_replication.engine.ports import MemberLost, Settings
from tests.support.data_path import resident
from tests.support.nbd_client import Client
from tests.support.replicated import MIB, Volume, running

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
PATIENT = 60.0
"""Seconds until a silent member is lost: here, what it costs is to end first."""
OVERHEAD = 64 * MIB
"""Of Python, of the buffers of connections, and of what the allocator keeps for later."""
PIECE = 256 << 10


class Peak:
    """The most memory of a process since `start`, over what it had then, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._pid, self._before, self.grown = pid, resident(pid), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """In bytes."""
        self._over.set()
        self._thread.join()
        return self.grown

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.grown = max(self.grown, resident(self._pid) - self._before)


def _member(volume: Volume) -> MemberState:
    state = volume.primary.state
    assert state is not None
    return state.members["b"]


def test_a_frozen_primary_whose_clients_go_on(tmp_path: Path) -> None:
    """They write as much as they may, go, and come again: what they sent waits all the same."""
    bound = Settings().held + Settings().window + OVERHEAD
    bounds = Bounds(member_timeout=PATIENT)
    with running(Volume(tmp_path, size=64 * MIB, bounds=bounds)) as volume:
        volume.settled()
        volume.obeys = "silent"
        replica = volume.nodes["b"]
        replica.send_signal(signal.SIGSTOP)
        peak = Peak(volume.primary.pid)
        offered, full, deadline = 0, False, monotonic() + 60
        while not full or offered < 2 * bound:
            assert monotonic() < deadline, f"{offered / MIB:.0f} MiB offered, none refused"
            with volume.client() as client:
                for number in range(8 * MIB // PIECE):
                    client.send_write(number * PIECE, bytes(PIECE))
                    offered += PIECE
                if not full and offered > bound:
                    client.sock.settimeout(1.0)
                    full = client.reply() == errno.ENOMEM  # what ENOBUFS is to NBD
        grown = peak.end()
        assert grown < bound, f"{grown / MIB:.0f} MiB"
        assert grown > Settings().held, "so much was allowed to wait"
        replica.send_signal(signal.SIGCONT)
        volume.obeys = "yes"
        volume.settled()
        with volume.client() as client:
            assert client.flush() == 0, "behind all that waited"
            assert client.write(0, b"goes on") == 0
        volume.same()


def test_an_async_member_that_stands_still(tmp_path: Path) -> None:
    """Up to its bound its writes are kept in memory; then its dirty map takes over."""
    lag = 128 * MIB
    bounds = Bounds(member_timeout=PATIENT, max_lag_bytes=lag)
    volume = Volume(tmp_path, size=64 * MIB, asynchronous=("b",), bounds=bounds)
    with running(volume):
        volume.settled()
        replica = volume.nodes["b"]
        replica.send_signal(signal.SIGSTOP)
        peak = Peak(volume.primary.pid)
        with volume.client() as client:
            _write(client, 4 * lag, volume.size)
        volume.until(lambda: not volume.record.following, "recorded as behind")
        grown = peak.end()
        assert grown < LIMIT + lag + OVERHEAD, f"{grown / MIB:.0f} MiB"
        assert grown > lag / 2, "so much was allowed to wait"
        (lost,) = volume.primary.soon(MemberLost)
        assert lost.reason == "behind its bound"
        replica.send_signal(signal.SIGCONT)
        volume.settled()
        volume.same()


def test_a_member_that_does_not_count_and_takes_nothing(tmp_path: Path) -> None:
    """Clients wait for room on its link, until it is lost."""
    bounds = Bounds(member_timeout=PATIENT, max_lag_bytes=MIB)
    with running(Volume(tmp_path, size=256 * MIB, bounds=bounds)) as volume:
        volume.settled()
        replica = volume.nodes["b"]
        replica.end()
        volume.until(lambda: "b" not in volume.record.in_sync, "it is lost")
        with volume.client() as client:
            _write(client, volume.size, volume.size)
            volume.restart("b")
            replica = volume.nodes["b"]

            def under_way() -> bool:
                resync = _member(volume).resync
                return resync is not None and resync.done >= 8 * MIB

            volume.until(under_way, "what comes first is compared")
            replica.send_signal(signal.SIGSTOP)
            peak = Peak(volume.primary.pid)
            _write(client, 2 * LIMIT, 4 * MIB)
            grown = peak.end()
            assert client.flush() == 0
        assert "got nothing done" in volume.primary.log.read_text()
        assert grown < OVERHEAD, f"{grown / MIB:.0f} MiB"
        assert volume.record.in_sync == {"a"}
        replica.send_signal(signal.SIGCONT)
        volume.settled()
        volume.same()


def _write(client: Client, amount: int, within: int) -> None:
    """One after another, from the beginning again and again."""
    for offset in range(0, amount, PIECE):
        assert client.write(offset % within, bytes([offset // within % 256]) * PIECE) == 0
