"""The log of a program that may outlive its starter: bounded, and asked for a reason."""

import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1024 * 1024


def open_log(log: Path) -> BinaryIO:
    """Append to it; one that has grown beyond MAX_BYTES is kept beside it once. Raises OSError."""
    if log.exists() and log.stat().st_size > MAX_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


class Bounded(logging.StreamHandler):  # type: ignore[type-arg]
    """To the standard error that `open_log` gave, for a program that may run for years: strangers
    at its ports can make it write as much as they like."""

    def emit(self, record: logging.LogRecord) -> None:
        """And begin anew beyond MAX_BYTES."""
        super().emit(record)
        fd = self.stream.fileno()
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_size > MAX_BYTES:
            _begin_anew(fd)


def _begin_anew(fd: int) -> None:
    """As `open_log`; if there is no room for that, what was written is not kept."""
    log = Path(os.readlink(f"/proc/self/fd/{fd}"))
    try:
        if not os.path.samestat(log.stat(), os.fstat(fd)):  # somebody else has moved it
            raise FileNotFoundError
        with open_log(log) as new:
            os.dup2(new.fileno(), fd)
    except OSError:
        os.ftruncate(fd, 0)


def last_line(log: Path) -> str:
    """Its last line, bounded, for a reason; "" if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    line = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(c if c.isprintable() else " " for c in line).strip()[:300]
