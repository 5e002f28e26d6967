"""Comparing a member that has everything with the primary, in the background.

The primary takes its own checksums when it asks. The link keeps the order, so the member takes its
own when it has applied exactly what the primary had applied then: any difference is a real one.
"""

from collections.abc import Callable

from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.engine.digests import differing, digests
from holdfast.storage_replication.engine.progress import Progress

MAX_RANGES = 1024
_WINDOW = 4


class Verify:
    """Of one member."""

    def __init__(self, geometry: Geometry, size: int) -> None:
        self._geometry, self._size = geometry, size
        self._next = 0
        self._open: dict[int, tuple[bytes, int, int]] = {}
        """By offset: our checksums, of how many bytes, and the number of the last write then."""
        self.ranges: list[tuple[int, int]] = []
        """Where they differ: offset and length, the first MAX_RANGES."""
        self.unreadable: list[tuple[int, int]] = []
        """What could not be read here, and so was not compared: as `ranges`."""
        self.complete = True
        """There is no more of either."""
        self.progress = Progress(size)
        self.budget = 0.0

    @property
    def done(self) -> bool:
        """All was compared."""
        return self._next >= self._size and not self._open

    def next(
        self, read: Callable[[int, int], bytes | bytearray], seq: int
    ) -> tuple[int, int] | None:
        """Offset and length of the next chunk to ask about, if one may be asked now; `seq`: of the
        last write."""
        while self._next < self._size and len(self._open) < _WINDOW and self.budget > 0:
            offset = self._next
            length = min(self._geometry.chunk, self._size - offset)
            self._next += length
            self.budget -= length
            try:
                mine = digests(read(offset, length), self._geometry.block)
            except OSError:
                self._note(self.unreadable, [(offset, length)])
                self.progress.did(length)
            else:
                self._open[offset] = mine, length, seq
                return offset, length
        return None

    def answer(self, offset: int, seq: int, theirs: bytes) -> bool:
        """What the member said of its state at `seq`; False: it makes no sense.

        What nobody waits for any more is no fault of the member.
        """
        mine, length, asked = self._open.get(offset, (b"", 0, -1))
        if asked != seq:
            return True
        if len(mine) != len(theirs):
            return False
        del self._open[offset]
        self.progress.did(length)
        found = differing(mine, theirs, self._geometry.block, length)
        self._note(self.ranges, [(offset + at, size) for at, size in found])
        return True

    def _note(self, known: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
        room = MAX_RANGES - len(known)
        known += found[:room]
        self.complete = self.complete and len(found) <= room
