"""What every test of a database needs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import database
from tests.volumes.tools import need, need_devices


@pytest.fixture
def folder() -> Iterator[Path]:
    """Passable for the user postgres, and short, since sockets lie in it."""
    need_devices("/dev/loop-control", "/dev/fuse")
    need("losetup", "nbdfuse", "nbdinfo", "findmnt", "mkfs.ext4", "e2fsck", "setpriv", "pg_isready")
    need(str(database.BIN / "postgres"))
    with tempfile.TemporaryDirectory(prefix="holdfast-postgres-") as made:
        Path(made).chmod(0o711)
        yield Path(made)
