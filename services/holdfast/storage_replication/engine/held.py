"""Requests that came while nothing new was let in, in their order."""

import errno
from collections import deque
from collections.abc import Callable

from holdfast.storage_replication.interfaces import Done


class Held:
    """At most `limit` bytes of data; more is answered with ENOBUFS."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._queue: deque[Done] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, size: int, done: Done, run: Callable[[], None]) -> None:
        """Run it later, or tell `done` of an error."""
        if self._bytes + size > self._limit:
            done(errno.ENOBUFS)
            return

        def released(error: int) -> None:
            self._bytes -= size
            if error:
                done(error)
            else:
                run()

        self._bytes += size
        self._queue.append(released)

    def release(self) -> None:
        """The first."""
        self._queue.popleft()(0)

    def end(self, error: int) -> None:
        """None is let in any more."""
        queue, self._queue = self._queue, deque()
        for released in queue:
            released(error)


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
