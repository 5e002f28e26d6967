"""Reads, and what they wait for: a read never returns what a failover could take back (V4)."""

import errno
from collections.abc import Callable

from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine.coming import Coming
from holdfast.storage_replication.engine.pending import Pending
from holdfast.storage_replication.interfaces import ReadDone

MAX_WAITING = 65536
"""More are answered with ENOBUFS."""


class Reads:
    """`valid` tells whether the node's lease holds."""

    def __init__(
        self, disk: MemberDisk, coming: Coming, pending: Pending, valid: Callable[[], bool]
    ) -> None:
        self._disk, self._coming, self._pending, self._valid = disk, coming, pending, valid
        self._waiting: list[tuple[int, int, ReadDone]] = []
        self._suspects: set[int] = set()

    def suspect(self, extents: set[int]) -> None:
        """Somebody who counts may lack what is here, until `trust`."""
        self._suspects |= extents

    def trust(self) -> None:
        """Everybody who counts has been compared."""
        self._suspects.clear()

    def must_wait(self, offset: int, length: int) -> bool:
        """Whether a range may not be answered now."""
        if not self._valid() or self._pending.over(offset, length):
            return True
        if self._coming.over(offset, length):
            return True
        if not self._suspects:
            return False
        extent = self._disk.geometry.extent
        wanted = range(offset // extent, (offset + length - 1) // extent + 1)
        return any(index in self._suspects for index in wanted)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Now, or when it may be."""
        if not self.must_wait(offset, length):
            self._answer(offset, length, done)
        elif len(self._waiting) >= MAX_WAITING:
            done(errno.ENOBUFS, b"")
        else:
            self._waiting.append((offset, length, done))

    def answer(self) -> bool:
        """Answer those that need not wait any more; whether there were any."""
        if not self._waiting:
            return False
        waiting, self._waiting = self._waiting, []
        moved = False
        for offset, length, done in waiting:
            if self.must_wait(offset, length):
                self._waiting.append((offset, length, done))
            else:
                self._answer(offset, length, done)
                moved = True
        return moved

    def end(self, error: int) -> None:
        """None is answered any more."""
        waiting, self._waiting = self._waiting, []
        for _, _, done in waiting:
            done(error, b"")

    def _answer(self, offset: int, length: int, done: ReadDone) -> None:
        try:
            data = self._disk.file.pread(offset, length)
        except OSError as error:
            done(error.errno or errno.EIO, b"")
            return
        done(0, data)
