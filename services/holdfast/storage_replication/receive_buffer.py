"""Where a connection's input arrives: one buffer, filled by the transport, parsed in place."""

SIZE = 256 * 1024
LEAST_SPACE = 64 * 1024
"""Bytes of room below which what is left is moved to the front."""


class ReceiveBuffer:
    """Input that is not dealt with yet. Never grows."""

    def __init__(self, size: int = SIZE) -> None:
        """In bytes: more than what must have arrived whole to be dealt with."""
        self._size = size
        self._whole = memoryview(bytearray(size))
        self._start = self._end = 0

    def space(self) -> memoryview:
        """Room for the transport to fill; never empty unless all of the buffer waits for more."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._size - self._end < LEAST_SPACE and self._start:
            left = self._end - self._start
            self._whole[:left] = self._whole[self._start : self._end]
            self._start, self._end = 0, left
        return self._whole[self._end :]

    def filled(self, count: int) -> None:
        """The transport put `count` bytes into the space."""
        self._end += count

    @property
    def data(self) -> memoryview:
        """All that is not consumed."""
        return self._whole[self._start : self._end]

    def consume(self, count: int) -> None:
        """The first `count` bytes of `data` are dealt with."""
        self._start += count
