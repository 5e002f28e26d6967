"""A volume, served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.data_path import DataPath, running

SIZE = 512 * 1024 * 1024


@pytest.fixture
def served(tmp_path: Path) -> Iterator[DataPath]:
    """A fresh sparse volume of SIZE bytes at a unix socket and, without TLS, on loopback."""
    path = DataPath(tmp_path, size=SIZE)
    with running(path, "--tcp", "127.0.0.1:0"):
        yield path
    assert "Traceback" not in path.log.read_text()
