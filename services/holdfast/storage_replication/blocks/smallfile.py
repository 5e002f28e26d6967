"""A file beside a volume's data, of one process."""

import errno
import os
import weakref
from pathlib import Path

from holdfast.storage_replication.blocks.flusher import Flusher
from holdfast.storage_replication.interfaces import Done, Extent


class SmallFile:
    """A `BlockFile` over an existing file. The data's lock keeps other processes off it.

    Closed when nobody has it any more: a log that was dropped may still be under way to the disk.
    """

    def __init__(self, path: Path) -> None:
        """Within a running event loop. Raises OSError."""
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        # What an earlier process could not make durable, the kernel may show as if it were.
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self.size = os.fstat(self._fd).st_size
        self._flusher = Flusher(self._fd, str(path))
        weakref.finalize(self, _close, self._flusher, self._fd)

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes."""
        self._require_sound()
        data = os.pread(self._fd, length, offset)
        if len(data) != length:
            raise OSError(errno.EIO, f"{self._path} ends before {offset + length}")
        return data

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        """All of `data`."""
        self._require_sound()
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, offset)
            view, offset = view[written:], offset + written

    def zero(self, offset: int, length: int, punch: bool) -> None:
        """By writing."""
        self.pwrite(offset, bytes(length))

    def extents(self, offset: int, length: int) -> list[Extent]:
        """All of it is data."""
        return [(length, False, False)]

    def sync(self, done: Done) -> None:
        """Durable when done; a failure is for good."""
        # The callback keeps the file open until then.
        self._flusher.sync(lambda error: self._synced(done, error))

    def _synced(self, done: Done, error: int) -> None:
        done(error)

    def _require_sound(self) -> None:
        if self._flusher.failed:
            raise OSError(errno.EIO, f"{self._path} failed to become durable before")


def _close(flusher: Flusher, fd: int) -> None:
    flusher.close()
    os.close(fd)
