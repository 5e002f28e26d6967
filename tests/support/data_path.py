"""A real data path as a process, and where its clients find it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE = 20.0
"""Seconds in which anything that has to happen, happens."""


class DataPath:
    """One volume `v1` on a file in `folder`, served at a unix socket and, if asked, on TCP."""

    def __init__(self, folder: Path, *, size: int = 0, file: Path | None = None) -> None:
        """`size` in bytes makes the file; else `file` exists."""
        self.file = file or folder / "volume.raw"
        self.socket = folder / "nbd.sock"
        self.port = 0
        self.log = folder / "data_path.log"
        self.uri = f"nbd+unix:///v1?socket={self.socket}"
        if size:
            with self.file.open("wb") as made:
                made.truncate(size)
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *arguments: str) -> None:
        """Returns when it serves."""
        command = [sys.executable, "-m", "holdfast.storage_replication.data_path"]
        given = ["--volume", "v1", "--file", str(self.file), "--unix", str(self.socket)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *given, *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("volume v1: "), self.log.read_text()
        self.port = int(said.rpartition(":")[2]) if "127.0.0.1" in said else 0

    def resident(self) -> int:
        """Bytes of memory that it occupies."""
        return resident(self.pid)

    def kill(self) -> None:
        """kill -9, and its end."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(how)
        code = process.wait(DEADLINE)
        assert process.stdout is not None
        process.stdout.close()
        return code


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


@contextmanager
def running(path: DataPath, *arguments: str) -> Iterator[DataPath]:
    """Started, and gone afterwards whatever happens."""
    path.start(*arguments)
    try:
        yield path
    finally:
        path.kill()
