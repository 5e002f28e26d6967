"""Work that may take long, in pieces: so much in one turn of the event loop."""

from collections import deque
from collections.abc import Callable

AT_ONCE = 4 << 20
"""Bytes zeroed in a turn: where the storage has no help for it, they are written."""


class Turns:
    """`soon` calls something in a later turn; `most`: bytes in one, and of one piece."""

    def __init__(self, soon: Callable[[Callable[[], None]], object], most: int = AT_ONCE) -> None:
        self.most = most
        self._soon = soon
        self._left = most
        self._waiting: deque[Callable[[], None]] = deque()
        self._due = self._serving = False

    def spend(self, size: int, again: Callable[[], None]) -> bool:
        """Whether so many bytes may be worked on now; if not, `again` is called when it is worth
        another try. Who waits is served in order."""
        if not self._due:
            self._due = True
            self._soon(self._turn)
        if self._left <= 0 or (self._waiting and not self._serving):
            self._waiting.append(again)
            return False
        self._left -= size
        return True

    def _turn(self) -> None:
        self._due, self._left = False, self.most
        self._serving = True
        try:
            for _ in range(len(self._waiting)):
                if self._left <= 0:
                    break
                self._waiting.popleft()()
        finally:
            self._serving = False
        if self._waiting and not self._due:
            self._due = True
            self._soon(self._turn)
