"""A member's small files in a folder: a `Store` over a real file system."""

import os
from collections.abc import Callable
from pathlib import Path

from holdfast.storage_replication.files import replace_durably, sync_folder
from holdfast.storage_replication.interfaces import BlockFile


class FolderStore:
    """Every method raises OSError. `open_file` makes a `BlockFile` of an existing file."""

    def __init__(self, folder: Path, open_file: Callable[[Path], BlockFile]) -> None:
        self._folder = folder
        self._open_file = open_file

    def read(self, name: str) -> bytes | None:
        """The whole file; None: there is none."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, name: str, data: bytes) -> None:
        """Durable on return, whole or not at all."""
        replace_durably(self._folder / name, data)

    def open(self, name: str, size: int) -> BlockFile:
        """A file of at least `size` bytes, its name and length durable; new bytes are zero."""
        path = self._folder / name
        # For this user alone, as the data is: an undo log holds as much of it.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < size:
                os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self._folder)
        return self._open_file(path)

    def remove(self, name: str) -> None:
        """Gone for good on return, also if it was not there."""
        (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)
