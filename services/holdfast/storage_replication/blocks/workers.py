"""Threads for what may block on the disk; a hung one keeps nobody from ending."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Work = Callable[[], Any]
Ended = Callable[[Any, OSError | None], None]


class Workers:
    """Up to `most` daemon threads, started when there is work. The caller bounds the queue.

    `ended` is called in the event loop, with the result or the OSError.
    """

    def __init__(self, name: str, most: int) -> None:
        """Within a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[Work, Ended] | None] = SimpleQueue()
        self._name, self._most = name, most
        self._started = 0
        self._unfinished = 0

    def run(self, work: Work, ended: Ended) -> None:
        """Queue `work`."""
        self._unfinished += 1
        if self._unfinished > self._started < self._most:
            self._started += 1
            threading.Thread(target=self._body, name=self._name, daemon=True).start()
        self._queue.put((work, ended))

    def close(self) -> None:
        """End the threads that hang in nothing."""
        for _ in range(self._started):
            self._queue.put(None)

    def _body(self) -> None:
        while (item := self._queue.get()) is not None:
            work, ended = item
            result, error = None, None
            try:
                result = work()
            except OSError as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop may be gone when a hang ends
                self._loop.call_soon_threadsafe(self._end, ended, result, error)

    def _end(self, ended: Ended, result: Any, error: OSError | None) -> None:
        self._unfinished -= 1
        ended(result, error)
