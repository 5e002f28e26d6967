"""fdatasync beside the event loop: callers that wait share one; a failure is for good."""

import errno
import logging
import os

from holdfast.storage_replication.blocks.workers import Workers
from holdfast.storage_replication.interfaces import Done

_log = logging.getLogger("holdfast.volume")


class Flusher:
    """Makes a file durable. At most one fdatasync runs, and at most one more is needed after it."""

    def __init__(self, fd: int, path: str) -> None:
        """Within a running event loop. `path` is for messages."""
        self._fd, self._path = fd, path
        self._workers = Workers("fdatasync", 1)
        self._waiting: list[Done] = []
        self._running: list[Done] = []
        self.failed = 0
        """The errno of the failure after which nothing can be trusted; 0: none."""
        self.rounds = 0
        """How often fdatasync was called."""

    def sync(self, done: Done) -> None:
        """Durable when done: what was written before this call."""
        if self.failed:
            done(self.failed)
            return
        # One that is running may have begun before the last write: it covers nobody new.
        self._waiting.append(done)
        if not self._running:
            self._start()

    def sync_now(self) -> None:
        """Waits for it, sizes included. Raises OSError; that, too, is for good."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """After the last `done`."""
        self._workers.close()

    def _start(self) -> None:
        self._running, self._waiting = self._waiting, []
        self.rounds += 1
        self._workers.run(lambda: os.fdatasync(self._fd), self._ended)

    def _ended(self, _: object, error: OSError | None) -> None:
        if error is not None:
            self._fail(error)
        finished, self._running = self._running, []
        if self._waiting and not self.failed:
            self._start()
        elif self._waiting:
            finished += self._waiting
            self._waiting = []
        for done in finished:
            done(self.failed)

    def _fail(self, error: OSError) -> None:
        # The kernel reports a page it could not write once, and then takes it for clean: a second
        # fdatasync would succeed and prove nothing.
        self.failed = error.errno or errno.EIO
        _log.critical(
            "%s: fdatasync failed (%s): what was written since the last flush may be lost; the "
            "volume answers nothing any more. Replace or repair the storage, then start again",
            self._path,
            error.strerror,
        )
