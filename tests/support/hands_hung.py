"""Storage that hangs, for real: what is opened or executed from it waits in the kernel.

A program hangs by a write lease on its file (fcntl(2), F_SETLEASE): whoever executes it waits until
the lease is given back. A log hangs as a FIFO that nobody reads.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

BREAK_TIME = Path("/proc/sys/fs/lease-break-time")
"""After so many seconds the kernel takes a lease away; far more than a test takes."""


class HungProgram:
    """A script that adds a line to `ran` each time it is executed, once it can be."""

    def __init__(self, folder: Path) -> None:
        self.path, self.ran = folder / "program", folder / "ran"
        self.path.write_text(f"#!/bin/sh\necho $$ >> {self.ran}\nexec sleep 1000\n")
        self.path.chmod(0o755)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def hangs(self) -> bool:
        """Whether somebody is executing it, and waits."""
        return fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_WRLCK

    @property
    def runs(self) -> list[int]:
        """The pid of each time that it was executed."""
        return [int(line) for line in self.ran.read_text().split()] if self.ran.exists() else []

    def hang(self) -> None:
        """From now on."""
        try:
            fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system has no leases: {error}")

    def answer(self) -> None:
        """The storage is back."""
        fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def close(self) -> None:
        """Hang no longer, and leave nothing."""
        os.close(self._fd)
        for pid in self.runs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def hung_program(folder: Path) -> Iterator[HungProgram]:
    """A program on storage that hangs."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel asks for a lease back
    program = HungProgram(folder)
    try:
        program.hang()
        yield program
    finally:
        program.close()
        signal.signal(signal.SIGIO, before)


class HungLog:
    """A log that cannot be opened until `answer`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def answer(self) -> None:
        """The storage is back: whoever waits to write goes on; the next one finds a new file."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            self._path.unlink()

    def close(self) -> None:
        """Let go of whoever still waits."""
        self.answer()
        os.close(self._fd)


@contextlib.contextmanager
def hung_log(path: Path) -> Iterator[HungLog]:
    """A log on storage that hangs."""
    log = HungLog(path)
    try:
        yield log
    finally:
        log.close()
