"""Which file or device an open one is, whatever its name: names may mean another one later."""

import contextlib
import errno
import os
import stat
from pathlib import Path

from holdfast.ids import uuid7

MARK = "user.holdfast.copy"
"""Extended attribute of a file. A copy of the file is another one, also if the copy has it: the
inode is another one then."""
_NO_MARKS = (errno.EOPNOTSUPP, errno.ENODATA, errno.EPERM)
_TOLD = ("wwid", "device/wwid", "serial", "device/serial", "device/cid", "dm/uuid", "md/uuid")
"""Of a whole device, in sysfs: by its maker, the device mapper, md; the first that is told."""


def mark(fd: int) -> None:
    """Make a file one that was not known before, durably. Raises OSError.

    No more than a number, where the file system keeps no attributes; a device has its own name.
    """
    if stat.S_ISBLK(os.fstat(fd).st_mode):
        return
    try:
        os.setxattr(fd, MARK, uuid7().encode())
    except OSError as error:
        if error.errno not in (*_NO_MARKS, errno.ENOSPC, errno.EDQUOT):
            raise
        # An older one says as little of this file as none.
        with contextlib.suppress(OSError):
            os.removexattr(fd, MARK)
    os.fsync(fd)


def identity(fd: int) -> str:
    """The same after a restart of the host, and of nothing else. Empty: nobody tells.

    Raises OSError.
    """
    found = os.fstat(fd)
    if stat.S_ISBLK(found.st_mode):
        return of_device(
            Path("/sys/dev/block") / f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        )
    try:
        marked = os.getxattr(fd, MARK).decode("ascii", "replace")
    except OSError as error:
        if error.errno not in _NO_MARKS:
            raise
        marked = "none"
    return f"file {found.st_ino}, mark {marked}"


def of_device(folder: Path) -> str:
    """By its folder in sysfs. A partition is where it begins on its disk."""
    folder = folder.resolve()
    if start := _told(folder / "start"):
        disk = of_device(folder.parent)
        return f"{disk}, from sector {start}" if disk else ""
    if image := _told(folder / "loop/backing_file"):
        return f"device over {image}"
    names = (_told(folder / name) for name in _TOLD)
    name = next((name for name in names if name), "")
    return f"device {name}" if name else ""


def _told(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ""
