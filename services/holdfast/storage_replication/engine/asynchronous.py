"""How far an async member is behind."""

from collections import deque

MOST = 65536
"""Writes told apart; of more, two neighbours count as one, lacking until both are there."""


class Lag:
    """Writes that the primary has and the member has not said to have applied."""

    def __init__(self, max_bytes: int, max_seconds: float) -> None:
        self.max_bytes, self.max_seconds = max_bytes, max_seconds
        self.bytes = 0
        self._open: deque[tuple[int, int, float]] = deque()

    def wrote(self, seq: int, size: int, now: float) -> None:
        """A write that the member does not have yet."""
        self._open.append((seq, size, now))
        self.bytes += size
        if len(self._open) > MOST:
            self._join()

    def applied(self, seq: int) -> None:
        """The member has everything up to `seq`."""
        while self._open and self._open[0][0] <= seq:
            self.bytes -= self._open.popleft()[1]

    def _join(self) -> None:
        """Two of them have the number of the later and the age of the older: never less lag."""
        old, self._open = self._open, deque()
        while len(old) > 1:
            (_, first, since), (seq, second, _) = old.popleft(), old.popleft()
            self._open.append((seq, first + second, since))
        self._open += old

    def clear(self) -> None:
        """The member is not counted on any more."""
        self._open.clear()
        self.bytes = 0

    def seconds(self, now: float) -> float:
        """Age of the oldest write that the member does not have; 0.0: it has all."""
        return now - self._open[0][2] if self._open else 0.0

    def exceeded(self, now: float) -> bool:
        """Whether one more write would be more than may be lost."""
        return self.bytes >= self.max_bytes or self.seconds(now) >= self.max_seconds
