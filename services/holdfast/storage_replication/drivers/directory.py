"""`directory`: one folder that every node reaches (NFS, or simply one machine).

The mark `.holdfast-epoch` lies on the volume itself, so a node that lost its memory, or that comes
back, sees that others were here. It is changed under a lock and replaced as a whole.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from holdfast.storage_replication.drivers.base import VolumeProblem
from holdfast.storage_replication.epochs import Mark, refusal
from holdfast.storage_replication.files import replace_durably

MARK = ".holdfast-epoch"
LOCK = ".holdfast-lock"


class DirectoryDriver:
    """A volume of kind `directory`. There is nothing to mount: it is there, or it is not."""

    name = "directory"

    def __init__(self, path: str, node: str) -> None:
        self._path = Path(path)
        self._probe_file = self._path / f".holdfast-probe-{node}"

    def activate(self, wanted: Mark) -> None:
        """Write and sync a probe, then raise the mark to `wanted`."""
        self._require_directory()
        self._write_probe()
        with self._locked():
            known = self._read_mark()
            if problem := refusal(known, wanted):
                raise VolumeProblem(problem)
            if known != wanted:
                replace_durably(self._path / MARK, msgspec.json.encode(wanted))

    def release(self) -> None:
        """Nothing is held here; the mark stays, because epochs only rise."""

    def probe(self, active: Mark) -> None:
        """Write and sync a probe, and read the mark."""
        self._require_directory()
        self._write_probe()
        if self._read_mark() != active:
            raise VolumeProblem(f"the mark on the volume is no longer that of epoch {active.epoch}")

    def _require_directory(self) -> None:
        if not self._path.is_dir():
            raise VolumeProblem(f"{self._path} is not a directory, or is not mounted")

    def _write_probe(self) -> None:
        fd = os.open(self._probe_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, b"holdfast")
            os.fsync(fd)
        finally:
            os.close(fd)

    def _read_mark(self) -> Mark:
        path = self._path / MARK
        try:
            return msgspec.json.decode(path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return Mark()
        except msgspec.DecodeError as error:
            # Guessing an epoch could let a past owner in. A person must look.
            raise VolumeProblem(f"{path} is damaged ({error}); restore it or remove it") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
