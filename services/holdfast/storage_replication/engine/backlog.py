"""What clients wrote that is on its way to a member which nobody waits for: one in a resync.

Full, it makes clients wait: else a link that is slower than they are would take ever longer, be
closed in the end, and the resync would begin anew. What is compared waits behind it, so it holds
about what the member gets done in PATIENCE.
"""

from collections import deque

PATIENCE = 0.25
"""Seconds."""
_LEAST = 4096
"""Bytes that a write counts for, also without data: that bounds their number."""
_FLOOR = 1 << 20
_FIRST = 4 << 20
_MORE = 1.5


class Backlog:
    """At most `window` bytes and one write, as of members that are waited for."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._limit = min(window, _FIRST)
        self._open: deque[tuple[int, int]] = deque()
        self.bytes = 0
        self._since: float | None = None
        self._done = 0
        self._was_full = False

    def sent(self, seq: int, size: int) -> None:
        """One more."""
        size = max(size, _LEAST)
        self._open.append((seq, size))
        self.bytes += size

    def applied(self, seq: int, now: float) -> None:
        """The member has everything up to `seq`."""
        while self._open and self._open[0][0] <= seq:
            size = self._open.popleft()[1]
            self.bytes -= size
            self._done += size
        if self._since is None or not self._was_full:
            self._since, self._done = now, 0
        elif now > self._since and (now - self._since >= PATIENCE or not self._open):
            most = int(_MORE * self._done * PATIENCE / (now - self._since))
            self._limit = min(self._window, max(_FLOOR, most))
            self._since, self._done, self._was_full = now, 0, False

    @property
    def full(self) -> bool:
        """Whether nothing is to be added now."""
        if self.bytes <= self._limit:
            return False
        self._was_full = True
        return True
