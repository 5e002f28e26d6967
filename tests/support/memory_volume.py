"""A volume in memory whose answers come at once, or when a test says so."""

import errno
from collections.abc import Callable

from holdfast.storage_replication.interfaces import Done, Extent, ReadDone


class MemoryVolume:
    """Every call is checked against the interface's promises to a volume."""

    def __init__(self, size: int, *, at_once: bool = True) -> None:
        self.size = size
        self.data = bytearray(size)
        self.at_once = at_once
        self.waiting: list[Callable[[], None]] = []
        self.calls: list[str] = []
        self.failing = 0
        """The errno of every call from now on; 0: they succeed."""

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """What is there when it is answered."""
        self._check("read", offset, length)

        def answer() -> None:
            if self.failing:
                done(self.failing, b"")
            else:
                done(0, bytes(self.data[offset : offset + length]))

        self._later(answer)

    def write(self, offset: int, data: memoryview, fua: bool, done: Done) -> None:
        """Applied at once."""
        self._check("write fua" if fua else "write", offset, len(data))
        if not self.failing:
            self.data[offset : offset + len(data)] = data
        self._later(lambda: done(self.failing))

    def flush(self, done: Done) -> None:
        """Nothing to do."""
        self.calls.append("flush")
        self._later(lambda: done(self.failing))

    def zero(self, offset: int, length: int, punch: bool, fua: bool, done: Done) -> None:
        """Applied at once."""
        self._check("punch" if punch else "zero", offset, length)
        if not self.failing:
            self.data[offset : offset + length] = bytes(length)
        self._later(lambda: done(self.failing))

    def extents(self, offset: int, length: int) -> list[Extent]:
        """Two, the second a hole."""
        self._check("extents", offset, length)
        if self.failing:
            raise OSError(errno.EIO, "failing")
        half = length // 2
        return [(half, False, False), (length - half, True, True)] if half else [(1, True, True)]

    def answer(self, index: int = 0) -> None:
        """One of those that wait."""
        self.waiting.pop(index)()

    def _later(self, answer: Callable[[], None]) -> None:
        if self.at_once:
            answer()
        else:
            self.waiting.append(answer)

    def _check(self, call: str, offset: int, length: int) -> None:
        assert length > 0
        assert offset >= 0
        assert offset + length <= self.size
        self.calls.append(call)
