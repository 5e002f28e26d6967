"""Files that hold secrets or state: created whole, with their mode, or not at all."""

import os
from pathlib import Path

from holdfast.errors import HoldfastError


class FileError(HoldfastError):
    """A file or folder could not be made: full disk, read-only file system, missing rights."""


def folder(path: Path, mode: int = 0o700) -> Path:
    """Make a folder and its parents. Raises FileError."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file as a whole, durably. Raises FileError and leaves the old one then."""
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> FileError:
    """The error, with what usually helps."""
    return FileError(
        f"cannot be written: {error.strerror}",
        place=str(path),
        cure="free space, or choose a folder this user may write to (--state, --out)",
    )
