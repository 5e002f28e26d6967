"""Reading what the disk has, past the page cache."""

import errno
import mmap
import os

ALIGNMENT = 4096
"""Of offsets and lengths; no Linux device has larger logical blocks by default."""
_PART = 1 << 20


class Direct:
    """Of an open file or device. Before it is read, what is dirty of the range is written (the
    kernel does so for O_DIRECT); what is cached stays cached, so clients notice nothing."""

    def __init__(self, fd: int) -> None:
        """Opens it once more when it is needed."""
        self._cached = fd
        self._fd: int | None = None
        self._able = True
        self._buffer = mmap.mmap(-1, _PART)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes, fewer only where it ends. Raises OSError.

        Where O_DIRECT is not possible (on some network file systems), the clean pages are dropped;
        what is dirty just then is told as the cache has it.
        """
        found, end = bytearray(), offset + length
        while offset < end and (part := self._part(offset, min(end - offset, _PART - ALIGNMENT))):
            found += part
            offset += len(part)
        return bytes(found)

    def close(self) -> None:
        """After the last read."""
        if self._fd is not None:
            os.close(self._fd)

    def _part(self, offset: int, length: int) -> bytes:
        if self._able:
            try:
                return self._direct(offset, length)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
                self._able = False
        os.posix_fadvise(self._cached, offset, length, os.POSIX_FADV_DONTNEED)
        return os.pread(self._cached, length, offset)

    def _direct(self, offset: int, length: int) -> bytes:
        if self._fd is None:
            # Not by its path: that may lead to another file meanwhile.
            flags = os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC
            self._fd = os.open(f"/proc/self/fd/{self._cached}", flags)
        first = offset // ALIGNMENT * ALIGNMENT
        last = -(-(offset + length) // ALIGNMENT) * ALIGNMENT
        with memoryview(self._buffer) as whole, whole[: last - first] as area:
            got = os.preadv(self._fd, [area], first)
            return bytes(area[offset - first : min(got, offset + length - first)])
