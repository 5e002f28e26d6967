"""Requests that came while nothing new was let in, in their order."""

from collections import deque
from collections.abc import Callable

from holdfast.storage_replication.interfaces import Done

MOST_FLUSHES = 4096
"""Some 2 MiB of them."""


class Held:
    """Writes are bounded by `Coming`, flushes here: clients that go leave theirs behind."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Callable[[], None], Done]] = deque()
        self._flushes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, run: Callable[[], None], refused: Done) -> None:
        """`run` it later, or tell `refused` why not."""
        self._queue.append((run, refused))

    def add_flush(self, run: Callable[[], None], refused: Done) -> bool:
        """The same, of a flush; False: so many wait already that this one does not."""
        if self._flushes == MOST_FLUSHES:
            return False
        self._flushes += 1

        def flush() -> None:
            self._flushes -= 1
            run()

        self.add(flush, refused)
        return True

    def release(self) -> None:
        """The first."""
        self._queue.popleft()[0]()

    def end(self, error: int) -> None:
        """None is let in any more."""
        queue, self._queue, self._flushes = self._queue, deque(), 0
        for _, refused in queue:
            refused(error)


def all_done(parts: int, done: Done) -> Done:
    """Tells `done` once when all parts have ended, with the first error."""
    left, first = parts, 0

    def part(error: int) -> None:
        nonlocal left, first
        left -= 1
        first = first or error
        if left == 0:
            done(first)

    return part
