"""Time and identity of this machine, read in one place.

Leases and deadlines use CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC it goes on while the machine is
suspended, so a host that slept past its lease knows so when it wakes. Wall time is for people:
it labels events and decides nothing.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic() -> float:
    """Seconds since boot, suspension included. Comparable between processes of one boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall_time() -> str:
    """RFC 3339 UTC time with microseconds, for display only."""
    return wall_time_ago(0.0)


def wall_time_ago(seconds: float) -> str:
    """The wall time so many seconds ago, in the same form."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    return then.isoformat(timespec="microseconds").replace("+00:00", "Z")


def wall_seconds(since: str, until: str) -> float:
    """From one wall time to another, at least 0; also 0 if one is none. For display only."""
    try:
        between = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, between.total_seconds())


def boot_id() -> str:
    """Identity of this boot of this place; it changes whenever the old processes are surely gone.

    `HOLDFAST_BOOT_ID` wins: hosts simulated on one machine get theirs from their launcher. Else it
    is the kernel's boot id and the start of PID 1, which in a container names the container's run
    and on a host never changes within a boot.
    """
    given = os.environ.get("HOLDFAST_BOOT_ID")
    if given:
        return given
    kernel = _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    return f"{kernel}.{process_start_ticks(1)}"


def process_start_ticks(pid: int) -> int:
    """Start time of a process in clock ticks since boot; with the pid it identifies a process.

    Raises FileNotFoundError or ProcessLookupError when there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # The command name, field 2, may itself hold spaces and parentheses: read after the last one.
    return int(stat.rpartition(")")[2].split()[19])
