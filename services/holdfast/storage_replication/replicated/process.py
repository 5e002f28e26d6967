"""A data path as a process: started in a group of its own, so that it outlives this service.

It shares our session, so whatever ends the host ends it, too.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from holdfast.child_log import open_log

_KILL_TIMEOUT = 5.0


class Process:
    """A child. `ended` is set when it has ended and is reaped."""

    def __init__(self, command: list[str], log: Path) -> None:
        """Start it. Raises OSError."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open_log(log) as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                process_group=0,
            )
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fd = os.pidfd_open(self._popen.pid)
        self._loop.add_reader(self._fd, self._reap)

    def how(self) -> str:
        """How it ended, for people."""
        code = self._popen.returncode
        if code is None:
            return "it runs"
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _reap(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._popen.wait()  # at once: its pidfd says that it has ended
        self.ended.set()


async def kill(pid: int) -> bool:
    """SIGKILL a data path that does not answer; whether it is surely gone.

    `pid` comes from the other end of a connection that was open just now.
    """
    return await _gone(pid, _KILL_TIMEOUT, signal.SIGKILL)


async def gone(pid: int, within: float) -> bool:
    """Whether the process has ended, or does so in as many seconds; as for `kill`."""
    return await _gone(pid, within, None)


async def _gone(pid: int, within: float, number: signal.Signals | None) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
        async with asyncio.timeout(within):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return True
