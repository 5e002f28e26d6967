"""Names of unix sockets in deep folders: an address holds 107 bytes, a path may be longer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_ADDRESS = 107


@contextmanager
def address(path: Path) -> Iterator[str]:
    """What to bind or connect to in place of `path`; valid as long as it is held. Raises OSError.

    A name that is too long is reached through its folder, opened.
    """
    if len(os.fsencode(path)) <= MAX_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
