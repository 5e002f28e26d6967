"""Writes that are applied here and not acknowledged yet."""

from collections import deque

from holdfast.storage_replication.interfaces import Done

_SHIFT = 16
Write = tuple[int, int, int, Done | None, float]
"""Sequence number, offset, end, whom to tell, when it began."""


class Pending:
    """In the order of their sequence numbers."""

    def __init__(self) -> None:
        self._writes: deque[Write] = deque()
        self._latest: dict[int, int] = {}
        self.bytes = 0

    def __bool__(self) -> bool:
        return self.bytes > 0

    def add(self, seq: int, offset: int, length: int, done: Done | None, began: float) -> None:
        """One more."""
        end = offset + length
        self._writes.append((seq, offset, end, done, began))
        self.bytes += length
        for part in range(offset >> _SHIFT, ((end - 1) >> _SHIFT) + 1):
            self._latest[part] = seq

    def first(self) -> int:
        """The lowest sequence number. Not to be called if there is none."""
        return self._writes[0][0]

    def pop(self) -> Write:
        """The one with the lowest number."""
        write = self._writes.popleft()
        seq, offset, end, _, _ = write
        self.bytes -= end - offset
        for part in range(offset >> _SHIFT, ((end - 1) >> _SHIFT) + 1):
            if self._latest[part] == seq:
                del self._latest[part]
        return write

    def over(self, offset: int, length: int) -> int:
        """The latest of those that overlap a range; 0: none does."""
        end = offset + length
        parts = range(offset >> _SHIFT, ((end - 1) >> _SHIFT) + 1)
        if not self._latest or not any(part in self._latest for part in parts):
            return 0
        for seq, start, stop, _, _ in reversed(self._writes):
            if start < end and offset < stop:
                return seq
        return 0
