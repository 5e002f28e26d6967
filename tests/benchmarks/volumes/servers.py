"""NBD servers to compare, each with a file of its own in the same folder."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

WITHIN = 20.0
SIZE = 1024 * 1024 * 1024
_TICK = os.sysconf("SC_CLK_TCK")


class Served(msgspec.Struct, frozen=True):
    """A running server."""

    uri: str
    pid: int

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


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


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Served]:
    """The server `name` on a file whose blocks are all allocated."""
    file, sock = folder / "bench.raw", folder / "bench.sock"
    with file.open("wb") as made:
        for _ in range(SIZE // (1024 * 1024)):
            made.write(os.urandom(1024 * 1024))
        os.fsync(made.fileno())
    process = subprocess.Popen(commands(file, sock)[name], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN
        while not sock.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve")
            time.sleep(0.05)
        yield Served(f"nbd+unix:///v1?socket={sock}", process.pid)
    finally:
        process.terminate()
        process.wait(WITHIN)
        sock.unlink(missing_ok=True)
        file.unlink()
