"""Bringing one member up to the primary, chunk by chunk.

A chunk is *ahead* while it is marked in the member's dirty map and the cursor has not passed it.
Writes that touch only chunks ahead are not sent: the resync carries them. From the moment at which
the checksums of a chunk are asked for, all writes to it are sent. The link keeps their order, so
whatever the checksums missed arrives behind them.
"""

from collections.abc import Callable

from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.engine.digests import SIZE, differing, digests
from holdfast.storage_replication.engine.progress import Progress


class Resync:
    """Of one member; ends with it, or with its link. Raises nothing but OSError of `read`."""

    def __init__(self, dirty: Bitmap, geometry: Geometry, size: int) -> None:
        self._dirty, self._geometry, self.size = dirty, geometry, size
        self._cursor = 0
        self._open: dict[int, None] = {}
        self._checkpoint: tuple[int, int] | None = None
        self._since_checkpoint = 0
        self.progress = Progress(dirty.total() * geometry.chunk)
        self.sent = 0
        """Bytes of data, for which checksums differed."""
        self.budget = 0.0
        """Bytes that may be compared before the next tick."""

    def skips(self, first: int, last: int) -> bool:
        """Whether a write to these chunks need not be sent."""
        return first >= self._cursor and all(
            self._dirty.test(chunk) for chunk in range(first, last + 1)
        )

    @property
    def exhausted(self) -> bool:
        """Everything was compared, and what differed was sent."""
        return not self._open and self._dirty.next(self._cursor) is None

    @property
    def waiting(self) -> bool:
        """Whether the member was asked for something that it has not told yet."""
        return bool(self._open)

    def next(self, window: int, unlimited: bool) -> tuple[int, int] | None:
        """Offset and length of the next chunk to ask the member about, if one may be asked now.

        `window`: about how many chunks it may be asked at a time.
        """
        if len(self._open) >= window or (self.budget <= 0 and not unlimited):
            return None
        chunk = self._dirty.next(self._cursor)
        if chunk is None:
            return None
        self._cursor = chunk + 1
        self._open[chunk] = None
        offset, length = self._range(chunk)
        self.budget -= length
        return offset, length

    def answer(
        self, offset: int, theirs: bytes, read: Callable[[int, int], bytes | bytearray]
    ) -> list[tuple[int, bytes]] | None:
        """What to send for a chunk that the member has told of; None: that was not asked."""
        chunk = offset // self._geometry.chunk
        if chunk not in self._open or offset % self._geometry.chunk:
            return None
        start, length = self._range(chunk)
        data = bytes(read(start, length))
        mine = digests(data, self._geometry.block)
        if len(mine) != len(theirs) or len(mine) % SIZE:
            return None
        del self._open[chunk]
        self._since_checkpoint += 1
        self.progress.did(length)
        found = [
            (start + at, data[at : at + size])
            for at, size in differing(mine, theirs, self._geometry.block, length)
        ]
        self.sent += sum(len(part) for _, part in found)
        return found

    def checkpoint_due(self, every: int) -> bool:
        """Whether enough was done to make it durable, so that it need not be done again."""
        return self._checkpoint is None and self._since_checkpoint >= every

    def checkpoint(self, seq: int) -> None:
        """A flush numbered `seq` was sent to the member."""
        self._checkpoint = seq, min(self._open, default=self._cursor)
        self._since_checkpoint = 0

    def flushed(self, seq: int) -> None:
        """The member has made durable everything up to `seq`."""
        if self._checkpoint is None or seq < self._checkpoint[0]:
            return
        chunk = self._dirty.next(0)
        while chunk is not None and chunk < self._checkpoint[1]:
            self._dirty.clear(chunk)
            chunk = self._dirty.next(chunk + 1)
        self._checkpoint = None

    def _range(self, chunk: int) -> tuple[int, int]:
        start = chunk * self._geometry.chunk
        return start, min(self._geometry.chunk, self.size - start)
