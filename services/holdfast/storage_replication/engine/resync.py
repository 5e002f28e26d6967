"""Bringing one member up to the primary, chunk by chunk.

A chunk is *ahead* while it is marked in the member's dirty map and the cursor has not passed it.
Writes that touch only chunks ahead are not sent: the resync carries them. From the moment at which
the checksums of a chunk are asked for, all writes to it are sent. The link keeps their order, so
whatever the checksums missed arrives behind them. While clients write, a chunk is asked for in
pieces, between which they have their turn.

A chunk that cannot be read here is set aside: marked still, written to as any other that was asked
for, and asked for again after a while. Until it can be compared, the resync does not end.
"""

import os
from collections.abc import Callable

from holdfast.storage_replication.disk.bitmap import Bitmap
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.engine.digests import SIZE, differing, digests
from holdfast.storage_replication.engine.progress import Progress

MAX_ASIDE = 256
"""Chunks: a disk of which more cannot be read is not worth the reading."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until what was set aside is asked for again."""


class Resync:
    """Of one member; ends with it, or with its link."""

    def __init__(self, dirty: Bitmap, geometry: Geometry, size: int) -> None:
        self._dirty, self._geometry, self.size = dirty, geometry, size
        self._cursor = 0
        self._open: dict[int, int] = {}
        """Asked for and not told yet: offset and length."""
        self._rest: tuple[int, int] | None = None
        """Of the chunk that is being asked for: from where, up to where."""
        self.piece = geometry.chunk
        """Bytes asked for at a time, whole blocks; at most a chunk."""
        self._aside: dict[int, int] = {}
        """Chunk: the errno with which it could not be read."""
        self._again: list[int] = []
        """Set aside, and to be asked for now."""
        self._pause, self._retry_at = _FIRST_PAUSE, 0.0
        self._checkpoint: tuple[int, int, frozenset[int]] | None = None
        self._since_checkpoint = 0
        self.progress = Progress(dirty.total() * geometry.chunk)
        self.sent = 0
        """Bytes of data, for which checksums differed."""
        self.fresh = 0
        """Bytes that were compared since the pace was looked at."""
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
        left = self._open or self._rest or self._aside or self._again
        return not left and self._dirty.next(self._cursor) is None

    @property
    def unreadable(self) -> str:
        """What is set aside, for people; empty: nothing is."""
        if not self._aside:
            return ""
        chunk, error = next(iter(self._aside.items()))
        offset, length = self._range(chunk)
        more = f" and {len(self._aside) - 1} more such places" if len(self._aside) > 1 else ""
        return f"its primary cannot read bytes {offset}+{length}{more}: {os.strerror(error)}"

    def tick(self, now: float) -> None:
        """About once a second."""
        if not self._aside or self._again:
            return
        if not self._retry_at:
            self._retry_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        elif now >= self._retry_at:
            self._again, self._retry_at = list(self._aside), 0.0

    @property
    def waiting(self) -> bool:
        """Whether the member was asked for something that it has not told yet."""
        return bool(self._open)

    def next(self, window: int, unlimited: bool) -> tuple[int, int] | None:
        """Offset and length of the next piece to ask the member about, if one may be asked now.

        `window`: about how many it may be asked at a time.
        """
        if len(self._open) >= window or (self.budget <= 0 and not unlimited):
            return None
        if self._rest is None:
            chunk = self._next_chunk()
            if chunk is None:
                return None
            start, length = self._range(chunk)
            self._rest = start, start + length
        offset, end = self._rest
        length = min(self.piece, end - offset)
        self._rest = (offset + length, end) if offset + length < end else None
        self._open[offset] = length
        self.budget -= length
        return offset, length

    def _next_chunk(self) -> int | None:
        if self._again and not self._asked(self._again[0]):
            chunk = self._again.pop(0)
            del self._aside[chunk]
            return chunk
        found = self._dirty.next(self._cursor)
        if found is None or len(self._aside) >= MAX_ASIDE:
            return None
        self._cursor = found + 1
        return found

    def _asked(self, chunk: int) -> bool:
        return any(offset // self._geometry.chunk == chunk for offset in self._open)

    def answer(
        self, offset: int, theirs: bytes, read: Callable[[int, int], bytes | bytearray]
    ) -> list[tuple[int, bytes]] | None:
        """What to send for a piece that the member has told of; None: that was not asked. A chunk
        that cannot be read is set aside."""
        length = self._open.get(offset)
        if length is None:
            return None
        try:
            data = bytes(read(offset, length))
        except OSError as error:
            del self._open[offset]
            self._aside[offset // self._geometry.chunk] = error.errno or 5
            return []
        mine = digests(data, self._geometry.block)
        if len(mine) != len(theirs) or len(mine) % SIZE:
            return None
        del self._open[offset]
        self._since_checkpoint += length
        self.fresh += length
        self.progress.did(length)
        found = [
            (offset + at, data[at : at + size])
            for at, size in differing(mine, theirs, self._geometry.block, length)
        ]
        self.sent += sum(len(part) for _, part in found)
        return found

    def checkpoint_due(self, every: int) -> bool:
        """Whether enough was done to make it durable, so that it need not be done again."""
        done = self._since_checkpoint >= every * self._geometry.chunk
        return self._checkpoint is None and done

    def checkpoint(self, seq: int) -> None:
        """A flush numbered `seq` was sent to the member."""
        # What was set aside by then is not done, wherever the cursor is.
        kept = frozenset(self._aside)
        asked = [*self._open, *(self._rest or ())[:1]]
        first = min(asked, default=self._cursor * self._geometry.chunk) // self._geometry.chunk
        self._checkpoint = seq, first, kept
        self._since_checkpoint = 0

    def flushed(self, seq: int) -> None:
        """The member has made durable everything up to `seq`."""
        if self._checkpoint is None or seq < self._checkpoint[0]:
            return
        chunk = self._dirty.next(0)
        while chunk is not None and chunk < self._checkpoint[1]:
            if chunk not in self._checkpoint[2]:
                self._dirty.clear(chunk)
            chunk = self._dirty.next(chunk + 1)
        self._checkpoint = None

    def _range(self, chunk: int) -> tuple[int, int]:
        start = chunk * self._geometry.chunk
        return start, min(self._geometry.chunk, self.size - start)
