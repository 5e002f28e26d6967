"""Files that are either the old or the new, never half of one."""

import os
from pathlib import Path


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a file; when this returns it survives a power loss. Raises OSError."""
    replace_atomically(path, content, sync=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def replace_atomically(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replace a file; without `sync` it survives our death, not the machine's. Raises OSError."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
