"""A service's state folder: writable, and used by one process at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from holdfast.errors import HoldfastError

LOCK = "lock"
ALIVE = "alive"


class StateFolderUnusable(HoldfastError):
    """It cannot be created or written, or another process uses it."""


class StateFolder:
    """`<state>/<service>`, locked while entered. Raises StateFolderUnusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> "StateFolder":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The descriptor is not inherited, so workloads that outlive us do not hold the lock.
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StateFolderUnusable(
                f"cannot be used: {error.strerror}",
                place=str(self.path),
                cure="create it on a writable file system and give it to this service's user",
            ) from error
        self._take(self._lock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StateFolderUnusable(
                "another process of this service runs here",
                place=str(self.path),
                cure="stop it first, or use another state folder; a second cluster needs its own",
            ) from error
