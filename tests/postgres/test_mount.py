"""The example's own programs between a volume and a file system."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres import remains
from tests.postgres.cluster import PARTS
from tests.support.data_path import DataPath, running
from tests.volumes.tools import need, need_devices, run

pytestmark = pytest.mark.postgres
SIZE = 64 << 20
WITHIN = 20.0
LOCK = "lock"


class Mounted:
    """`disk` as a process, and `filesystem`, on an NBD server's URI."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._uri, self._fuse, self.root = uri, folder / "fuse", folder / "root"
        self.disk = self._fuse / "disk"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """As Holdfast does: one, and at once the other."""
        self._process = subprocess.Popen([PARTS / "disk", self._uri, self._fuse])
        self.filesystem("start")
        self.filesystem("probe")
        assert not (self.root / LOCK).exists()

    def end_disk(self, how: signal.Signals) -> None:
        """And wait for it."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(WITHIN)

    def filesystem(self, action: str, code: int = 0) -> None:
        """It must end with `code`."""
        run(PARTS / "filesystem", action, self.disk, self.root, LOCK, code=code)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[DataPath]:
    """A volume with an empty ext4."""
    need_devices("/dev/loop-control", "/dev/fuse")
    need("losetup", "nbdfuse", "nbdinfo", "findmnt", "mkfs.ext4", "nbdkit")
    path = DataPath(tmp_path, size=SIZE)
    run("mkfs.ext4", "-q", "-F", path.file)
    with running(path):
        yield path
    remains.clear(tmp_path)
    run("e2fsck", "-f", "-n", path.file)


@contextmanager
def logged(path: DataPath, folder: Path) -> Iterator[tuple[str, Path]]:
    """The URI of an nbdkit that passes everything on to the volume, and the log of that."""
    socket, log = folder / "log.sock", folder / "nbd.log"
    command = ["nbdkit", "--foreground", "--unix", str(socket), "--filter=log", "nbd", path.uri]
    with subprocess.Popen([*command, f"logfile={log}"]) as process:
        try:
            deadline = time.monotonic() + WITHIN
            while not socket.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"nbd+unix:///?socket={socket}", log
        finally:
            process.terminate()


def test_an_fsync_returns_after_a_flush_of_the_volume(served: DataPath, tmp_path: Path) -> None:
    with logged(served, tmp_path) as (uri, log):
        mounted = Mounted(uri, tmp_path)
        mounted.start()
        descriptor = os.open(mounted.root / "file", os.O_CREAT | os.O_WRONLY)
        try:
            for number in range(20):
                before = log.read_text().count("...Flush")
                os.pwrite(descriptor, os.urandom(8192), 8192 * number)
                os.fdatasync(descriptor)
                assert log.read_text().count("...Flush") > before, f"fdatasync {number}"
        finally:
            os.close(descriptor)
        mounted.filesystem("stop")
        mounted.filesystem("probe", code=7)
        mounted.end_disk(signal.SIGTERM)


def test_what_was_synced_survives_a_killed_nbdfuse(served: DataPath, tmp_path: Path) -> None:
    mounted = Mounted(served.uri, tmp_path)
    mounted.filesystem("probe", code=7)
    mounted.start()
    with (mounted.root / "file").open("wb") as file:
        file.write(b"kept")
        (mounted.root / LOCK).touch()
        file.flush()
        os.fsync(file.fileno())
    mounted.end_disk(signal.SIGKILL)
    mounted.filesystem("stop")
    mounted.filesystem("probe", code=7)
    mounted.start()
    assert (mounted.root / "file").read_bytes() == b"kept"
    mounted.filesystem("stop")
    mounted.end_disk(signal.SIGTERM)


def test_a_start_that_was_ended_halfway_is_undone(served: DataPath, tmp_path: Path) -> None:
    mounted = Mounted(served.uri, tmp_path)
    mounted.start()
    mounted.filesystem("stop")
    run("losetup", "--find", mounted.disk)
    mounted.filesystem("probe", code=1)
    mounted.filesystem("stop")
    mounted.filesystem("probe", code=7)
    mounted.end_disk(signal.SIGTERM)
