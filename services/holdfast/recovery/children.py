"""Our children: waiting for their end, reaping them, and what they inherit.

They share our session (hosts simulated on one machine are sessions) but not our life: nothing is
set that would end them with us (I10).
"""

import asyncio
import os
import subprocess

from holdfast.recovery.processes import Process

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")


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


def clean_environment() -> dict[str, str]:
    """What a workload inherits of ours: nothing but where to find things and how to speak."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept}
