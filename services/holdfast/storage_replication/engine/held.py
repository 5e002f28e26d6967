"""Requests that came while nothing new was let in, in their order."""

from collections import deque
from collections.abc import Callable

from holdfast.storage_replication.interfaces import Done


class Held:
    """Bounded by `Coming`, where all of them are counted."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Callable[[], None], Done]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, run: Callable[[], None], refused: Done) -> None:
        """`run` it later, or tell `refused` why not."""
        self._queue.append((run, refused))

    def release(self) -> None:
        """The first."""
        self._queue.popleft()[0]()

    def end(self, error: int) -> None:
        """None is let in any more."""
        queue, self._queue = self._queue, deque()
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
