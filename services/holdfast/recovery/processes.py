"""Processes of this machine: which belong to a workload, ending them, and being sure they ended.

A process is named by pid and start ticks. A workload's processes are those of its process group
and those that carry its token or its name in their environment, so one that left the group is found
too, and one whose token was lost with the journal.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from holdfast import clock

TOKEN_VARIABLE = "HOLDFAST_TOKEN"
NAME_VARIABLE = "HOLDFAST_WORKLOAD"
MAX_WAITED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Process:
    """One process, surely the same one: pids are reused, pid and start ticks are not."""

    pid: int
    ticks: int

    @property
    def instance(self) -> str:
        """`pid:start ticks`."""
        return f"{self.pid}:{self.ticks}"


@dataclass(frozen=True, slots=True)
class Workload:
    """What a start brought to life: the leader of its process group, and its token.

    With a `name`, which every start of the resource on this host has in common, earlier ones too.
    """

    leader: Process | None
    token: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Stat:
    process: Process
    group: int
    dead: bool


def identify(pid: int) -> Process:
    """The process that has `pid` now. Raises FileNotFoundError or ProcessLookupError."""
    return Process(pid, clock.process_start_ticks(pid))


def parse_instance(instance: str) -> Process | None:
    """The inverse of `Process.instance`; None for anything else."""
    pid, _, ticks = instance.partition(":")
    return Process(int(pid), int(ticks)) if pid.isdecimal() and ticks.isdecimal() else None


def alive(process: Process) -> bool:
    """Whether this very process exists and is not a zombie."""
    stat = _stat(process.pid)
    return stat is not None and stat.process == process and not stat.dead


def members(workload: Workload) -> list[Process]:
    """Every live process of the workload, without its zombies."""
    found = []
    leader = workload.leader
    now = _stat(leader.pid) if leader else None
    reused = leader is not None and now is not None and now.process != leader
    marks = _marks(workload)
    for name in os.listdir("/proc"):
        if not name.isdecimal() or (stat := _stat(int(name))) is None or stat.dead:
            continue
        in_group = leader is not None and stat.group == leader.pid and not reused
        if in_group or (marks and not marks.isdisjoint(_environment(stat.process.pid))):
            found.append(stat.process)
    return found


def send(process: Process, number: signal.Signals) -> None:
    """Signal this very process; nothing if it is gone."""
    fd = open_pidfd(process)
    if fd is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, number)
    finally:
        os.close(fd)


def kill(workload: Workload) -> bool:
    """SIGKILL every process of the workload, synchronously. False if there was none."""
    present = members(workload)
    for process in present:
        send(process, signal.SIGKILL)
    return bool(present)


def open_pidfd(process: Process) -> int | None:
    """A pidfd of this very process, which the caller closes; None if it is gone."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Only with the pidfd in hand can the pid no longer change its meaning.
    stat = _stat(process.pid)
    if stat is None or stat.process != process:
        os.close(fd)
        return None
    return fd


async def wait_gone(workload: Workload, timeout: float) -> bool:
    """Wait up to `timeout` seconds until no process of the workload is left."""
    deadline = clock.monotonic() + timeout
    while present := members(workload):
        left = deadline - clock.monotonic()
        if left <= 0:
            return False
        await _wait_ended(present[:MAX_WAITED_AT_ONCE], left)
    return True


async def _wait_ended(processes: list[Process], timeout: float) -> None:
    """Return when all of `processes` have ended, or after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    waiting: set[int] = set()

    def on_end(fd: int) -> None:
        loop.remove_reader(fd)
        waiting.discard(fd)
        os.close(fd)
        if not waiting:
            ended.set()

    for process in processes:
        if (fd := open_pidfd(process)) is not None:
            waiting.add(fd)
            loop.add_reader(fd, on_end, fd)
    try:
        if waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await ended.wait()
    finally:
        for fd in waiting:
            loop.remove_reader(fd)
            os.close(fd)


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    # A leader whose main thread ended is shown as a zombie while its other threads run on.
    dead = fields[0] in "ZX" and int(fields[17]) <= 1
    return _Stat(Process(pid, int(fields[19])), int(fields[2]), dead)


def _marks(workload: Workload) -> set[bytes]:
    carried = {TOKEN_VARIABLE: workload.token, NAME_VARIABLE: workload.name}
    return {f"{variable}={value}".encode() for variable, value in carried.items() if value}


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
