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
    """Of one member. Raises nothing but OSError of `read`."""

    def __init__(self, geometry: Geometry, size: int) -> None:
        self._geometry, self._size = geometry, size
        self._next = 0
        self._open: dict[int, tuple[bytes, int]] = {}
        self.ranges: list[tuple[int, int]] = []
        """Where they differ: offset and length, the first MAX_RANGES."""
        self.progress = Progress(size)
        self.budget = 0.0

    @property
    def done(self) -> bool:
        """All was compared."""
        return self._next >= self._size and not self._open

    def next(self, read: Callable[[int, int], bytes | bytearray]) -> tuple[int, int] | None:
        """Offset and length of the next chunk to ask about, if one may be asked now."""
        if self._next >= self._size or len(self._open) >= _WINDOW or self.budget <= 0:
            return None
        offset = self._next
        length = min(self._geometry.chunk, self._size - offset)
        self._open[offset] = digests(read(offset, length), self._geometry.block), length
        self._next += length
        self.budget -= length
        return offset, length

    def answer(self, offset: int, theirs: bytes) -> bool:
        """What the member said; False: that was not asked."""
        if offset not in self._open or len(self._open[offset][0]) != len(theirs):
            return False
        mine, length = self._open.pop(offset)
        self.progress.did(length)
        room = MAX_RANGES - len(self.ranges)
        found = differing(mine, theirs, self._geometry.block, length)
        self.ranges += [(offset + at, size) for at, size in found][:room]
        return True
