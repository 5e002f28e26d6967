"""Pages that the kernel could not write, heard of by somebody who outlives the data path.

The kernel tells it once to each descriptor, and takes the pages for clean. A data path that is
killed while its fdatasync fails takes that with it, and whoever opens the file afterwards is told
nothing. So its service has the file open, too, from before the data path is started.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from holdfast.storage_replication.slot import Slot, StillHanging

WITHIN = 5.0
"""Seconds for what may wait for the disk."""
_WAIT_BEFORE = 1
_CANNOT_TELL = (errno.ESPIPE, errno.EINVAL, errno.ENOSYS)
_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = _libc.sync_file_range
_sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def lost(fd: int) -> bool:
    """Whether anything could not be written since `fd` was opened, or since this was asked last.

    Writes nothing: it waits for no more than the first page, if that is just being written.
    """
    if _sync_file_range(fd, 0, 1, _WAIT_BEFORE) == 0:
        return False
    return ctypes.get_errno() not in _CANNOT_TELL


class LostPages:
    """Of one file or device. `note` makes durable that some were lost; raises OSError and more."""

    def __init__(self, path: Path, note: Callable[[], None]) -> None:
        self._path, self._note = path, note
        self._fd: int | None = None
        self._unnoted = False
        self._slot = Slot(f"lost-pages-{path.name}")

    async def listen(self) -> None:
        """From now on; of what cannot be opened a data path says why. Raises TimeoutError."""
        if self._fd is None:
            await self._run(self._open)

    async def look(self) -> bool:
        """Once no data path has it: whether any were lost, which is noted then. Nothing is held
        open from here on. Raises TimeoutError, and what `note` raises; then it is to be repeated.
        """
        found = False

        def work() -> None:
            nonlocal found
            found = self._look()

        if self._fd is not None or self._unnoted:
            await self._run(work)
        return found

    def close(self) -> None:
        """Nobody is going to ask any more."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    async def _run(self, work: Callable[[], None]) -> None:
        try:
            await self._slot.run(work, WITHIN)
        except StillHanging:
            raise TimeoutError("its disk does not answer") from None

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _look(self) -> bool:
        if self._fd is not None:
            if _in_use(self._fd):
                return False
            self._unnoted |= lost(self._fd)
            self.close()
        if not self._unnoted:
            return False
        self._note()
        self._unnoted = False
        return True


def _in_use(fd: int) -> bool:
    """Whether a data path has locked it: one that is ending still, say."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # some network file systems lock only what is open for writing
        return False
    return False
