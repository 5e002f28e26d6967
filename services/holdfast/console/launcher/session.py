"""A place's first process: started in a session of its own, heard, and seen to its end."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

MAX_LINE = 16 * 1024


class Session:
    """The session leader of a place. `ended` is done once it is gone, and reaped if it is ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._end)

    def close(self) -> None:
        """Stop watching; the process goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _end(self) -> None:
        self.close()
        with contextlib.suppress(ChildProcessError):  # another process started it
            os.waitpid(self.pid, 0)
        if not self.ended.done():
            self.ended.set_result(None)


class Lines:
    """Calls `heard` for every line that arrives on a pipe."""

    def __init__(self, descriptor: int, heard: Callable[[str], None]) -> None:
        self._descriptor, self._heard = descriptor, heard
        self._partial = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def close(self) -> None:
        """Listen no more."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        data = os.read(self._descriptor, 65536)
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[:MAX_LINE]
        for line in lines:
            self._heard(line.decode(errors="replace"))
        if not data:
            self.close()


def start(argv: Sequence[str], log: Path) -> tuple[Session, int]:
    """Start this Python with `argv` in a new session. Returns it, and the end of its output.

    posix_spawn keeps no handle that would have to be waited for: a place may outlive its starter.
    """
    read, write = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *argv],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
        )
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return Session(pid), read
