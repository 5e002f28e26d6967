"""A simulated host: its record in host.json, whether it lives, and its end."""

import contextlib
import json
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.fence_host.errors import FenceError
from holdfast.fence_host.processes import Process, living_members, process

RECORD = "host.json"
MAX_PASSES = 50
_MAX_BATCH = 256  # open descriptors at a time
_MAX_RECORD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Host:
    """One boot of a host: the session of its processes, and its launcher's start time."""

    boot_id: str
    session: int
    leader_start_ticks: int


def read_host(run_dir: Path, plug: str) -> Host:
    """Raises FenceError if the record is missing or does not make sense."""
    path = run_dir / plug / RECORD
    cure = "start the host by its launcher, which writes this file; check run_dir and plug"
    try:
        with path.open("rb") as file:
            fields = json.loads(file.read(_MAX_RECORD_BYTES))
    except OSError as error:
        problem = f"cannot read: {error.strerror}"
        raise FenceError(problem, place=str(path), cure=cure) from error
    except (ValueError, RecursionError) as error:
        raise FenceError(f"not JSON: {error}", place=str(path), cure=cure) from error
    match fields:
        case {"boot_id": str(boot), "session": int(session), "leader_start_ticks": int(ticks)}:
            # Sessions 0 and 1 belong to the kernel and to init.
            if boot and session > 1 and ticks >= 0:
                return Host(boot, session, ticks)
    problem = 'needs "boot_id" (text), "session" (above 1) and "leader_start_ticks" (numbers)'
    raise FenceError(problem, place=str(path), cure=cure)


def members(host: Host) -> list[Process]:
    """The host's living processes. Raises FenceError if they cannot be known.

    A pid is not given out again while it names a session that still has members. So if the leader's
    pid now belongs to a process with another start time, the old session is empty, and whoever is
    in a session of that number is a stranger.
    """
    leader = process(host.session)
    if leader is not None and leader.start_ticks != host.leader_start_ticks:
        return []
    return living_members(host.session)


def kill(host: Host, plug: str, timeout: float) -> None:
    """Returns once no process of the host lives. Raises FenceError, and then nothing is proven.

    `timeout` in seconds. /proc is no snapshot, and a process may fork while it is being read: the
    host counts as dead when two readings in a row find nobody.
    """
    if os.getsid(0) == host.session:
        cure = "run the agent from outside the host"
        raise FenceError("the agent is itself part of this host", place=plug, cure=cure)
    deadline = time.monotonic() + timeout
    empty = 0
    for _ in range(MAX_PASSES):
        living = members(host)
        empty = 0 if living else empty + 1
        if empty == 2:
            return
        if living and not _kill_all(living, deadline):
            break
    left = ", ".join(str(one.pid) for one in members(host)[:10]) or "none at this moment"
    raise FenceError(
        f"processes that outlived SIGKILL or were started since: {left}",
        place=plug,
        cure="a process in uninterruptible sleep (state D) ends with its I/O; then try again",
    )


def _kill_all(living: list[Process], deadline: float) -> bool:
    """Whether all that were killed (at most _MAX_BATCH) ended before the deadline."""
    with contextlib.ExitStack() as stack:
        waiting: set[int] = set()
        poll = select.poll()
        for one in living[:_MAX_BATCH]:
            pidfd = _kill_one(one)
            if pidfd is not None:
                stack.callback(os.close, pidfd)
                waiting.add(pidfd)
                poll.register(pidfd, select.POLLIN)
        while waiting and (left := deadline - time.monotonic()) > 0:
            for pidfd, _ in poll.poll(left * 1000):
                waiting.discard(pidfd)
                poll.unregister(pidfd)
        return not waiting and time.monotonic() < deadline


def _kill_one(target: Process) -> int | None:
    """Sends SIGKILL; returns a descriptor that becomes readable at its end, None if it is gone."""
    try:
        pidfd = os.pidfd_open(target.pid)
    except ProcessLookupError:
        return None
    try:
        # The descriptor now holds the process fast: if it is still the one that was seen, no pid
        # given out again can be hit by mistake.
        now = process(target.pid)
        if now is not None and now.start_ticks == target.start_ticks:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return pidfd
    except ProcessLookupError:
        pass
    except PermissionError as error:
        os.close(pidfd)
        cure = "run the agent as root or as the user of the host's processes"
        raise FenceError("not allowed to kill it", place=f"pid {target.pid}", cure=cure) from error
    except BaseException:
        os.close(pidfd)
        raise
    os.close(pidfd)
    return None
