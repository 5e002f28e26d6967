"""A raw file or block device, held by nobody else while it is open."""

import errno
import fcntl
import os
import stat
from pathlib import Path

from holdfast.storage_replication.blocks import fallocate
from holdfast.storage_replication.blocks.direct import ALIGNMENT, Direct
from holdfast.storage_replication.blocks.errors import BackingError, BackingInUse
from holdfast.storage_replication.blocks.flusher import Flusher
from holdfast.storage_replication.blocks.workers import Workers
from holdfast.storage_replication.interfaces import Done, Extent

MAX_EXTENTS = 1024
"""How many `extents` tells at once: it runs in the event loop."""
AHEAD = 1024 * 1024
"""How far a sequential reader is read ahead of."""
_CLEARED = 64 << 20
"""Bytes zeroed in one call: others that change the file wait for it."""
_ZEROES = bytes(1024 * 1024)
_NOT_POSSIBLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV, errno.ENOSYS)


class RawFile:
    """A `BlockFile` over an existing file or device, through the page cache.

    Not O_DIRECT: NBD clients may write single bytes, and durability comes from fdatasync either
    way. After a failed fdatasync every call fails, since the cache may show what the disk lost.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Within a running event loop. Raises BackingError, BackingInUse."""
        self.path = path
        self._fd, self._device = _open(path, read_only)
        try:
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            os.close(self._fd)
            raise _unusable(path, error) from error
        if self.size == 0:
            os.close(self._fd)
            raise BackingError("it is empty", place=str(path), cure=f"truncate -s SIZE {path}")
        self._flusher = Flusher(self._fd, str(path))
        self._direct = Direct(self._fd)
        self._clearing = Workers("zeroing", 1)
        self._can_peek = True
        self._read_up_to = 0

    def fileno(self) -> int:
        """Of what is open."""
        return self._fd

    @property
    def flushes(self) -> int:
        """How often fdatasync was called."""
        return self._flusher.rounds

    def pread(self, offset: int, length: int) -> bytes | bytearray:
        """Exactly `length` bytes; waits for the disk. Raises OSError."""
        self._require_sound()
        if offset == self._read_up_to and offset % AHEAD < length:
            os.posix_fadvise(self._fd, offset + AHEAD, AHEAD, os.POSIX_FADV_WILLNEED)
        self._read_up_to = offset + length
        data = os.pread(self._fd, length, offset)
        if len(data) == length:
            return data
        whole = bytearray(data)
        while len(whole) < length:
            more = os.pread(self._fd, length - len(whole), offset + len(whole))
            if not more:
                raise OSError(errno.EIO, f"{self.path} ends before {offset + length}")
            whole += more
        return whole

    def read_disk(self, offset: int, length: int) -> bytes:
        """As `pread`, but what the disk has, whatever is cached. Raises OSError."""
        self._require_sound()
        data = self._direct.read(offset, length)
        if len(data) < length:
            raise OSError(errno.EIO, f"{self.path} ends before {offset + length}")
        return data

    def peek(self, offset: int, length: int) -> bytearray | None:
        """What `pread` would return, if that needs no waiting; else None. Raises OSError."""
        self._require_sound()
        if not self._can_peek:
            return None
        data = bytearray(length)
        try:
            got = os.preadv(self._fd, [data], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _NOT_POSSIBLE:
                raise
            self._can_peek = False
            return None
        return data if got == length else None

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        """All of `data`, to the page cache. Raises OSError."""
        self._require_sound()
        written = os.pwrite(self._fd, data, offset)
        while written < len(data):
            written += os.pwrite(self._fd, data[written:], offset + written)

    def zero(self, offset: int, length: int, punch: bool) -> None:
        """Zeroes by the cheapest way that works here; may take long. Raises OSError."""
        self._require_sound()
        if not self._device:
            self._zero_whole(offset, length, punch)
            return
        end = offset + length
        first = min(-(-offset // ALIGNMENT) * ALIGNMENT, end)
        last = max(end // ALIGNMENT * ALIGNMENT, first)
        self._write_zeroes(offset, first - offset)
        if last > first:
            self._zero_whole(first, last - first, punch)
        self._write_zeroes(last, end - last)

    def clear(self, offset: int, length: int, done: Done) -> None:
        """Zeroes by and by, in a thread, where there are none; nobody else uses the range."""

        def ended(_: object, error: OSError | None) -> None:
            done(0 if error is None else error.errno or errno.EIO)

        self._clearing.run(lambda: self._clear(offset, offset + length), ended)

    def extents(self, offset: int, length: int) -> list[Extent]:
        """Holes as the file system tells them, the first MAX_EXTENTS. Raises OSError."""
        self._require_sound()
        found: list[Extent] = []
        end = offset + length
        while offset < end and len(found) < MAX_EXTENTS:
            data = self._seek(offset, os.SEEK_DATA, end)
            if data > offset:
                found.append((data - offset, True, True))
            if data < end:
                hole = self._seek(data, os.SEEK_HOLE, end)
                found.append((hole - data, False, False))
                data = hole
            offset = data
        return found[:MAX_EXTENTS]

    def grow(self, size: int) -> None:
        """At least `size` bytes, durably. A device must have them already. Raises OSError."""
        if not self._device and size > self.size:
            os.ftruncate(self._fd, size)
            self._flusher.sync_now()
        self.size = os.lseek(self._fd, 0, os.SEEK_END)
        if self.size < size:
            raise OSError(errno.ENOSPC, f"{self.path} has {self.size} bytes: enlarge it first")

    def sync(self, done: Done) -> None:
        """Durable when done; several calls share one fdatasync; a failure is for good."""
        self._flusher.sync(done)

    def close(self) -> None:
        """After everything is done; gives the lock up."""
        self._flusher.close()
        self._clearing.close()
        self._direct.close()
        os.close(self._fd)

    def _clear(self, offset: int, end: int) -> None:
        while offset < end:
            for length, _, zero in self.extents(offset, min(_CLEARED, end - offset)):
                if not zero:
                    self.zero(offset, length, punch=True)
                offset += length

    def _require_sound(self) -> None:
        if self._flusher.failed:
            raise OSError(errno.EIO, f"{self.path} failed to become durable before")

    def _zero_whole(self, offset: int, length: int, punch: bool) -> None:
        for way in (
            (fallocate.punch_hole, fallocate.zero_range) if punch else (fallocate.zero_range,)
        ):
            try:
                way(self._fd, offset, length)
                return
            except OSError as error:
                if error.errno not in _NOT_POSSIBLE:
                    raise
        self._write_zeroes(offset, length)

    def _write_zeroes(self, offset: int, length: int) -> None:
        zeroes = memoryview(_ZEROES)
        while length > 0:
            part = min(length, len(zeroes))
            self.pwrite(offset, zeroes[:part])
            offset, length = offset + part, length - part

    def _seek(self, offset: int, whence: int, end: int) -> int:
        """The next data or hole from `offset` on, at most `end`."""
        try:
            return min(os.lseek(self._fd, offset, whence), end)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data from here on
                return end
            if error.errno in _NOT_POSSIBLE:  # then all of it is data
                return offset if whence == os.SEEK_DATA else end
            raise


def _open(path: Path, read_only: bool) -> tuple[int, bool]:
    """The descriptor, locked, and whether it is a device."""
    fd = None
    try:
        device = stat.S_ISBLK(path.stat().st_mode)
        flags = (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC
        # O_EXCL keeps mounts and others off a device, flock other data paths off either.
        fd = os.open(path, flags | (os.O_EXCL if device else 0))
        if not device and not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BackingError(
                "it is neither a file nor a block device",
                place=str(path),
                cure="give a raw file or a block device",
            )
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # What an earlier failure of fdatasync left in the cache may not be on the disk: forget it.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        # The kernel's own reading ahead fills the cache with large folios: in those of ext4, a
        # small write costs ten times as much. `pread` reads ahead in single pages.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    except BaseException as error:
        if fd is not None:
            os.close(fd)
        if isinstance(error, OSError):
            raise _unusable(path, error) from error
        raise
    return fd, device


def _unusable(path: Path, error: OSError) -> BackingError:
    if isinstance(error, BlockingIOError) or error.errno == errno.EBUSY:
        return BackingInUse(
            "somebody else holds it",
            place=str(path),
            cure=f"stop the other one first; `fuser -v {path}` names it if it runs here",
        )
    return BackingError(
        f"cannot open it: {error.strerror}",
        place=str(path),
        cure="it must exist (is its file system mounted?) and be writable by this user",
    )
