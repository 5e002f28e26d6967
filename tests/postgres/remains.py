"""What a power cut ends and the death of all processes of a simulated host does not.

The kernel is shared by all hosts here: it keeps mounts and loop devices of a host that is dead, and
PostgreSQL's backends are in sessions of their own, so that whoever kills the host's misses them.
None of them can reach the volume any more, because nbdfuse and the data path are gone.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.volumes.tools import run

WITHIN = 30.0


def clear(folder: Path) -> None:
    """Kill who uses a mount below `folder`, unmount all, and see that no loop device is left."""
    deadline = time.monotonic() + WITHIN
    while left := _step(folder):
        assert time.monotonic() < deadline, f"of a host without power there is still: {left}"
        time.sleep(0.05)


def found(folder: Path) -> list[str]:
    """Processes, mounts and loop devices below `folder`."""
    return [*map(str, _users(folder)), *map(str, _mounts(folder)), *_loops(folder)]


def _step(folder: Path) -> list[str]:
    """The innermost first: a loop device's file keeps its name only while its mount is there."""
    for pid in _users(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    mounts, loops = _mounts(folder), _loops(folder)
    if len(mounts) > 1 or (mounts and not loops):
        run("umount", "--lazy", mounts[-1])
    elif loops:
        # Of a host that died before it mounted it; else it goes by itself, maybe at this moment.
        with contextlib.suppress(AssertionError):
            run("losetup", "--detach", loops[0].split()[0])
    return found(folder)


def _users(folder: Path) -> list[int]:
    """Processes that work in it: every one of PostgreSQL does so in its data directory."""
    users = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    users.append(int(entry.name))
    return users


def _mounts(folder: Path) -> list[Path]:
    """In the order of mounting."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [Path(point) for point in points if Path(point).is_relative_to(folder)]


def _loops(folder: Path) -> list[str]:
    """Each with its file."""
    listed = run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
    return [line for line in listed if Path(line.split(maxsplit=1)[1]).is_relative_to(folder)]
