"""Processes by session, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast.fence_host.errors import FenceError

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `start_ticks` (clock ticks since boot) and `pid` together never recur."""

    pid: int
    session: int
    start_ticks: int
    dead: bool


def parse_stat(text: str) -> Process:
    """Reads a line of /proc/<pid>/stat. Raises ValueError."""
    pid, _, rest = text.partition(" (")
    # The command's name may itself hold spaces and parentheses: what counts follows the last one.
    fields = rest.rpartition(") ")[2].split()
    if len(fields) < 20:
        raise ValueError(f"not a process state: {text[:80]!r}")
    # A zombie is dead, unless only its first thread ended and others still run.
    dead = fields[0] in ("Z", "X", "x") and int(fields[17]) <= 1
    return Process(int(pid), int(fields[3]), int(fields[19]), dead)


def process(pid: int) -> Process | None:
    """The process with that pid, or None if there is none. Raises FenceError if it is hidden."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text("utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(f"process {pid}: {error}") from error


def living_members(session: int) -> list[Process]:
    """Every process of the session that is not dead. Raises FenceError if any may be hidden."""
    try:
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError as error:
        raise _unreadable(str(error)) from error
    # Process 1 always exists and is another user's in general: who sees it sees all (hidepid).
    if not {1, os.getpid()}.issubset(pids):
        raise _unreadable("it does not show every process")
    found = (process(pid) for pid in pids)
    return [one for one in found if one and one.session == session and not one.dead]


def _unreadable(problem: str) -> FenceError:
    return FenceError(
        problem,
        place=str(_PROC),
        cure="mount /proc without hidepid in the PID namespace of the hosts",
    )
