"""The log of a program that may outlive its starter: bounded, and asked for a reason."""

from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1024 * 1024


def open_log(log: Path) -> BinaryIO:
    """Append to it; one that has grown beyond MAX_BYTES is kept beside it once. Raises OSError."""
    if log.exists() and log.stat().st_size > MAX_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


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
