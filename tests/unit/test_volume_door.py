"""The socket for NBD clients: what is there is removed only if it is one that nobody uses."""

import socket
from pathlib import Path

import pytest

from holdfast.storage_replication.data_path.door import Door
from holdfast.storage_replication.nbd.server import CannotListen
from tests.support.memory_volume import MemoryVolume

SIZE = 1 << 20


def door(path: Path) -> Door:
    return Door("v", path, None, None)


async def test_a_file_where_the_socket_should_be_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "data.raw"
    path.write_bytes(b"all that there is")
    refused = door(path)
    with pytest.raises(CannotListen, match="no socket"):
        await refused.open(MemoryVolume(SIZE))
    refused.cut()
    assert path.read_bytes() == b"all that there is"


async def test_a_socket_at_which_somebody_listens_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    first, second = door(path), door(path)
    await first.open(MemoryVolume(SIZE))
    with pytest.raises(CannotListen, match="somebody listens"):
        await second.open(MemoryVolume(SIZE))
    second.cut()
    assert path.is_socket()
    first.cut()
    assert not path.exists(), "its own is gone with it"


async def test_the_socket_of_one_that_died_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    again = door(path)
    await again.open(MemoryVolume(SIZE))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    await again.close(1.0)
    assert not path.exists()
