"""Zeroing under way in threads, which nothing may overtake."""

from collections.abc import Callable


class Zeroing:
    """Ranges being zeroed, and what waits for them, in order.

    A zeroing whose client is gone goes on in its thread. If a write that came later, over a new
    connection, were done before it ended, the zeroes would destroy acknowledged data.
    """

    def __init__(self) -> None:
        self._active: list[tuple[int, int]] = []
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []

    def blocks(self, offset: int, length: int) -> bool:
        """Whether a change of this range must wait."""
        if not self._active and not self._waiting:
            return False
        end = offset + length
        waiting = ((first, last) for first, last, _ in self._waiting)
        return any(first < end and offset < last for first, last in (*self._active, *waiting))

    def wait(self, offset: int, length: int, change: Callable[[], None]) -> None:
        """Call `change` when nothing before it overlaps any more."""
        self._waiting.append((offset, offset + length, change))

    def begin(self, offset: int, length: int) -> None:
        """A range is being zeroed from now on."""
        self._active.append((offset, offset + length))

    def end(self, offset: int, length: int) -> None:
        """A range is not any more; what waited for it is done."""
        self._active.remove((offset, offset + length))
        again, self._waiting = self._waiting, []
        for first, last, change in again:
            if self.blocks(first, last - first):
                self._waiting.append((first, last, change))
            else:
                change()
