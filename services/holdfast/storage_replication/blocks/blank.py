"""Whether a file or device holds something that somebody may want back."""

import errno
import os

READ = 64 << 20
"""Bytes looked at from the beginning, holes left out: labels, file systems, tables are there."""
TAIL = 4 << 20
"""And at the end, where md and GPT keep theirs."""
_STEP = 1 << 20


def is_blank(fd: int) -> bool:
    """Nothing but zeroes and holes, as far as it is looked at. Raises OSError."""
    end = os.lseek(fd, 0, os.SEEK_END)
    at, left = _data(fd, 0), READ
    while at < end and left > 0:
        if _something(fd, at):
            return False
        at, left = _data(fd, at + _STEP), left - _STEP
    return not any(_something(fd, at) for at in range(max(0, end - TAIL), end, _STEP))


def _something(fd: int, at: int) -> bool:
    found = os.pread(fd, _STEP, at)
    return found.count(0) < len(found)


def _data(fd: int, at: int) -> int:
    """Where there is data next; a device tells no holes."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        return os.lseek(fd, 0, os.SEEK_END) if error.errno == errno.ENXIO else at
