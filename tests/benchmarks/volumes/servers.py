"""NBD servers to compare, each with a file of its own in the same folder."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.support.replicated import Volume, running

WITHIN = 20.0
SIZE = 1024 * 1024 * 1024
_TICK = os.sysconf("SC_CLK_TCK")


class Served(msgspec.Struct, frozen=True):
    """A running server."""

    uri: str
    pids: list[int]
    """With its replica's, if it has one."""

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return sum(_cpu(pid) for pid in self.pids)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


REPLICATED: dict[str, tuple[str, ...]] = {"holdfast sync": (), "holdfast async": ("b",)}
"""With one replica on the same disk: which members are async."""


def commands(file: Path, sock: Path) -> dict[str, list[str]]:
    """How each is started."""
    return {
        "holdfast": [
            *(sys.executable, "-m", "holdfast.storage_replication.data_path"),
            *("--volume", "v1", "--file", str(file), "--unix", str(sock)),
        ],
        "nbdkit file": ["nbdkit", "-f", "-e", "v1", "-U", str(sock), "file", str(file)],
        "qemu-storage-daemon": [
            "qemu-storage-daemon",
            *("--blockdev", f"driver=file,node-name=f,filename={file},discard=unmap"),
            *("--nbd-server", f"addr.type=unix,addr.path={sock},max-connections=16"),
            *("--export", "type=nbd,id=e,node-name=f,name=v1,writable=on"),
        ],
    }


def names() -> list[str]:
    """All of them."""
    return [*commands(Path(), Path()), *REPLICATED]


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Served]:
    """The server `name` on files whose blocks are all allocated."""
    with _replicated(name, folder) if name in REPLICATED else _alone(name, folder) as served:
        yield served


@contextmanager
def _replicated(name: str, folder: Path) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        volume = Volume(Path(scratch), size=SIZE, asynchronous=REPLICATED[name])
        for node in volume.nodes.values():
            _fill(node.file)
        with running(volume):
            volume.settled()
            pids = [node.process.pid for node in volume.nodes.values() if node.process]
            yield Served(f"nbd+unix:///v1?socket={volume.primary.nbd}", pids)


def _fill(file: Path) -> None:
    with file.open("wb") as made:
        for _ in range(SIZE // (1024 * 1024)):
            made.write(os.urandom(1024 * 1024))
        os.fsync(made.fileno())


@contextmanager
def _alone(name: str, folder: Path) -> Iterator[Served]:
    file, sock = folder / "bench.raw", folder / "bench.sock"
    _fill(file)
    process = subprocess.Popen(commands(file, sock)[name], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN
        while not sock.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve")
            time.sleep(0.05)
        yield Served(f"nbd+unix:///v1?socket={sock}", [process.pid])
    finally:
        process.terminate()
        process.wait(WITHIN)
        sock.unlink(missing_ok=True)
        file.unlink()
