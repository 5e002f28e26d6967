"""Bringing programs to life as our children, in a process group of their own, and reaping them.

They share our session (hosts simulated on one machine are sessions) but not our life: nothing is
set that would end them with us (I10).
"""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from holdfast.child_log import open_log
from holdfast.recovery import processes
from holdfast.recovery.processes import Process, Workload

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")

# With vfork the interpreter stands still, all its threads with it, until the program is executed;
# from storage that hangs, for ever. The thread that must kill when the lease ends cannot allow it.
subprocess._USE_VFORK = False  # type: ignore[misc]


class Child:
    """One child; `ended` is set when it has ended and is reaped."""

    def __init__(self, popen: subprocess.Popen[bytes], process: Process) -> None:
        self.process = process
        self.ended = asyncio.Event()
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._fd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._fd, self._reap)

    def how(self) -> str:
        """How it ended, for people."""
        code = self._popen.returncode
        if code is None:
            return "it runs"
        return f"it exited with {code}" if code >= 0 else f"it was ended by signal {-code}"

    @property
    def code(self) -> int | None:
        """Exit code, negative the signal; None while it runs."""
        return self._popen.returncode

    def _reap(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._popen.wait()  # at once: its pidfd says that it has ended
        self.ended.set()


async def launch(
    command: list[str],
    *,
    environment: dict[str, str],
    directory: str | None,
    log: Path,
    allowed: Callable[[], None] = lambda: None,
    born: Callable[[Process], None] = lambda _: None,
) -> Child:
    """Execute a program. Raises OSError if it cannot be.

    `allowed` is called at the last moment; what it raises is raised here, and nothing is executed.
    `born` is called as soon as the program exists. Both are, in another thread. If the caller is
    cancelled meanwhile, the program is killed as soon as it exists.
    """
    loop = asyncio.get_running_loop()

    def spawn() -> tuple[subprocess.Popen[bytes], Process]:
        with open_log(log) as output:
            allowed()
            popen = subprocess.Popen(
                command,
                env=environment,
                cwd=directory or "/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        process = processes.identify(popen.pid)
        born(process)
        return popen, process

    def abandon(done: "asyncio.Future[tuple[subprocess.Popen[bytes], Process]]") -> None:
        if not done.cancelled() and done.exception() is None:
            popen, process = done.result()
            processes.kill(Workload(process, ""))
            Child(popen, process)  # only to reap it

    spawning = loop.run_in_executor(None, spawn)
    try:
        popen, process = await asyncio.shield(spawning)
    except asyncio.CancelledError:
        spawning.add_done_callback(abandon)
        raise
    return Child(popen, process)


def clean_environment() -> dict[str, str]:
    """What a workload inherits of ours: nothing but where to find things and how to speak."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept}
