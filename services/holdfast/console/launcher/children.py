"""Spawns and reaps: every process of a place ends up here, orphans included.

A process that recovery started outlives recovery; as the place is its subreaper, it never stays a
zombie, which would look alive to whoever watches it.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
MAX_LOG_BYTES = 4 * 1024 * 1024


class Child:
    """One running program; `ended` gives its exit code, negative for a signal."""

    def __init__(self, process: "subprocess.Popen[bytes]", ended: "asyncio.Future[int]") -> None:
        self.pid = process.pid
        self.ended = ended
        self._process = process

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if not self.ended.done():
            self._process.send_signal(number)

    def finish(self, status: int) -> None:
        """Take note of its end."""
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self.ended.set_result(code)


class Children:
    """The children of this process. Nothing else in it may start or wait for processes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._by_pid: dict[int, Child] = {}
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Start a program in this session, its output appended to `log`. Raises OSError."""
        bound(log)
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment)
            )
        child = self._by_pid[process.pid] = Child(process, self._loop.create_future())
        return child

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._by_pid.pop(pid, None)
            if child is not None:
                child.finish(status)


def bound(log: Path) -> None:
    """Keep a log and its predecessor below MAX_LOG_BYTES each; its writer may have it open."""
    try:
        if log.stat().st_size > MAX_LOG_BYTES:
            with log.open("r+b") as file:
                file.seek(-MAX_LOG_BYTES, os.SEEK_END)
                log.with_suffix(".log.1").write_bytes(file.read(MAX_LOG_BYTES))
                file.truncate(0)
    except FileNotFoundError:
        return
