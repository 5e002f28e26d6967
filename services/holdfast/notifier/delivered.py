"""What one channel was already given: a bounded, durable list of event ids."""

import os
from pathlib import Path

from holdfast.errors import HoldfastError

ID_LENGTH = 36
REMEMBERED = 10_000


class MemoryLost(HoldfastError):
    """The list cannot be read or written."""


class Delivered:
    """The ids of recently notified events in a file, one a line, the latest last.

    A line cut short by a crash is dropped: that event is notified again rather than never.
    """

    def __init__(self, path: Path, *, remembered: int = REMEMBERED) -> None:
        """Read the file if it is there. Raises MemoryLost."""
        self._path, self._limit = path, remembered
        self._ids: dict[str, None] = {}
        try:
            text = path.read_bytes() if path.exists() else b""
            for line in text.decode("ascii", "replace").split("\n"):
                if len(line) == ID_LENGTH:
                    self._ids[line] = None
            self._rewrite()
        except OSError as error:
            raise self._lost(error) from error

    def __contains__(self, event: str) -> bool:
        return event in self._ids

    def add(self, event: str) -> None:
        """Remember an event; durable when it returns. Blocks for an fsync. Raises MemoryLost."""
        if event in self._ids:
            return
        self._ids[event] = None
        try:
            if self._lines >= 2 * self._limit:
                self._rewrite()
                return
            with self._path.open("ab") as file:
                file.write(event.encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._lines += 1
        except OSError as error:
            raise self._lost(error) from error

    def _rewrite(self) -> None:
        """Keep the latest ids only, replacing the file as a whole."""
        for old in list(self._ids)[: max(0, len(self._ids) - self._limit)]:
            del self._ids[old]
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write("".join(f"{event}\n" for event in self._ids).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._lines = len(self._ids)

    def _lost(self, error: OSError) -> MemoryLost:
        return MemoryLost(
            f"cannot remember what was notified: {error.strerror}",
            place=str(self._path),
            cure="make room on this disk, and the state folder writable",
        )
