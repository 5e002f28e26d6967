"""fallocate(2) with its modes, which the standard library does not offer."""

import ctypes
import os

_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02
_ZERO_RANGE = 0x10
_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = _libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Zeroes that take no space. Raises OSError; EOPNOTSUPP: not on this file system or device."""
    _call(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length)


def zero_range(fd: int, offset: int, length: int) -> None:
    """Zeroes that keep their space. Raises OSError, as `punch_hole`."""
    _call(fd, _ZERO_RANGE | _KEEP_SIZE, offset, length)


def _call(fd: int, mode: int, offset: int, length: int) -> None:
    if _fallocate(fd, mode, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
