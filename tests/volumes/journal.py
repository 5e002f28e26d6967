"""Clients of an async volume that number their writes, so that what a failover lost can be told.

Each has a ring of blocks of its own and writes one after another, block by block: what is there at
any time says up to which write it goes, and whether one before that is missing.
"""

import threading
from dataclasses import dataclass

from holdfast.clock import monotonic
from tests.support.nbd_client import Client
from tests.support.replicated import MIB, Volume

BLOCK = 4096
WRITERS = 3
RING = 2 * MIB
PATIENCE = 3.0
"""Seconds of a client with one request."""
PROGRESS = 60.0
"""Seconds until what is waited for must have happened."""


@dataclass(slots=True)
class Write:
    """`ended` is inf while nobody knows whether it happened."""

    began: float
    ended: float = float("inf")


class Writer:
    """One of them, in a thread of its own, at the record's primary."""

    def __init__(self, volume: Volume, number: int) -> None:
        self._volume, self.first = volume, number * RING
        self.writes: list[Write] = []
        """The one numbered n is at n - 1, and in block n - 1 modulo the ring's blocks."""
        self.acknowledged = 0
        self._pause, self._idle = threading.Event(), threading.Event()
        self._over = False
        self.broken: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """From the number behind the last."""
        self._pause.clear()
        self._idle.clear()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """It is over then."""
        self._pause.set()
        self._thread.join(PROGRESS)
        assert not self._thread.is_alive()
        assert self.broken is None, self.broken

    def survived(self, client: Client) -> int:
        """Up to which write the ring goes; there must be no gap before it."""
        blocks = RING // BLOCK
        found = []
        for block in range(blocks):
            data = client.read(self.first + block * BLOCK, BLOCK)
            value = int.from_bytes(data[:8], "big")
            assert data == value.to_bytes(8, "big") * (BLOCK // 8), "a torn block"
            assert value == 0 or (value - 1) % blocks == block, f"{value} is not of block {block}"
            found.append(value)
        last = max(found)
        for block, value in enumerate(found):
            wanted = last - (last - 1 - block) % blocks if last else 0
            assert value == max(0, wanted), f"{value} in block {block}, though {last} is there"
        assert last <= len(self.writes), f"{last} was never written"
        return last

    def _work(self) -> None:
        try:
            while not self._pause.is_set():
                try:
                    with Client(self._volume.primary.nbd, deadline=PATIENCE) as client:
                        self._session(client)
                except (OSError, EOFError):
                    self._pause.wait(0.02)
        except BaseException as error:
            self.broken = error

    def _session(self, client: Client) -> None:
        if self.writes and self.writes[-1].ended == float("inf"):
            # Whether it happened nobody knows: it is said again, as any client would.
            self._write(client, len(self.writes), self.writes[-1])
        while not self._pause.is_set():
            write = Write(monotonic())
            self.writes.append(write)
            self._write(client, len(self.writes), write)

    def _write(self, client: Client, number: int, write: Write) -> None:
        at = self.first + (number - 1) % (RING // BLOCK) * BLOCK
        error = client.write(at, number.to_bytes(8, "big") * (BLOCK // 8))
        if error:
            raise ConnectionError(error)
        write.ended = monotonic()
        self.acknowledged += 1


class Journal:
    """All writers of a volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.writers = [Writer(volume, number) for number in range(WRITERS)]
        self.lost = 0
        """Acknowledged writes, in all failovers."""

    def start(self) -> None:
        for writer in self.writers:
            writer.start()

    def stop(self) -> None:
        for writer in self.writers:
            writer.stop()

    @property
    def acknowledged(self) -> int:
        """Writes, so far."""
        return sum(writer.acknowledged for writer in self.writers)

    def acknowledge(self, more: int) -> None:
        """Wait until that many more were."""
        wanted, deadline = self.acknowledged + more, monotonic() + PROGRESS
        while self.acknowledged < wanted:
            assert monotonic() < deadline, self._volume.standing()
            threading.Event().wait(0.01)

    def complete(self) -> None:
        """Nothing that was acknowledged is missing."""
        with self._volume.client() as client:
            for writer in self.writers:
                known = [n for n, one in enumerate(writer.writes, 1) if one.ended < float("inf")]
                assert writer.survived(client) >= max(known, default=0)

    def settle_loss(self) -> list[Write]:
        """What a new primary lacks of what was acknowledged: the end of the order, no more.

        Writes go on from what is there.
        """
        lost: list[Write] = []
        kept: list[Write] = []
        with self._volume.client() as client:
            for writer in self.writers:
                last = writer.survived(client)
                kept += writer.writes[:last]
                lost += [one for one in writer.writes[last:] if one.ended < float("inf")]
                del writer.writes[last:]
        latest = max((one.began for one in kept), default=0.0)
        for one in lost:
            assert one.ended >= latest, "a later write of another client is there"
        self.lost += len(lost)
        return lost
