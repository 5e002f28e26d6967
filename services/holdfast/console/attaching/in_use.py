"""Who uses a file or block device of this host."""

import os
import stat
from pathlib import Path

from holdfast.console.attaching.record import AttachError

SHOWN = 5


def in_use(path: Path, reason: str) -> AttachError:
    """Why it is not detached: the users that were found, or whoever refused."""
    return AttachError(
        f"it is in use: {reason}",
        place=str(path),
        cure="unmount it, end what has it open, then detach again",
    )


def users(path: Path) -> list[str]:
    """Whoever has it open or mounted, as far as this user may see; empty: nobody is seen."""
    found = [*_mounts(str(path)), *_loops(path), *_processes(path)]
    return found[:SHOWN]


def _mounts(device: str) -> list[str]:
    with Path("/proc/self/mounts").open(encoding="utf-8", errors="replace") as lines:
        mounts = [line.split()[:2] for line in lines]
    return [f"mounted at {where}" for what, where in mounts if what == device]


def _loops(path: Path) -> list[str]:
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            behind = backing.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue  # it ended just now
        if behind == str(path):
            loop = f"/dev/{backing.parents[1].name}"
            found.append(", ".join([f"the disk of {loop}", *_mounts(loop)]))
    return found


def _processes(path: Path) -> list[str]:
    """A device by its number, since it may have several names; a file by its name."""
    try:
        about = path.stat()
    except OSError:
        return []
    device = about.st_rdev if stat.S_ISBLK(about.st_mode) else 0
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        folder = f"/proc/{process}/fd"
        try:
            opened = [f"{folder}/{number}" for number in os.listdir(folder)]
            if int(process) != os.getpid() and any(_same(one, path, device) for one in opened):
                name = Path(f"/proc/{process}/comm").read_text(errors="replace").strip()
                found.append(f"open in {name} ({process})")
        except OSError:
            continue  # it ended just now, or is another user's
    return found


def _same(opened: str, path: Path, device: int) -> bool:
    if device:
        about = os.stat(opened)
        return stat.S_ISBLK(about.st_mode) and about.st_rdev == device
    return os.readlink(opened) == str(path)
