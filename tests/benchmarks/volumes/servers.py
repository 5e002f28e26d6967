"""NBD servers to compare, all on the same two files of one disk."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from holdfast.storage_replication.control import Bounds
from holdfast.timing import PROFILES
from tests.benchmarks.volumes import qemu
from tests.support.replicated import Volume, running

WITHIN = 20.0
SETTLED_WITHIN = 180.0
"""Seconds: a second copy is made equal first, as large as it is."""
PATIENT = Bounds(member_timeout=PROFILES["standard"].stall)
"""The default of a cluster."""
SIZE = 512 << 20
MIB = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")

HOLDFAST, NBDKIT, QEMU = "holdfast", "nbdkit file", "qemu-storage-daemon"
SYNC, ASYNC = "holdfast sync", "holdfast async"
MIRROR, NEW_ONLY = "qemu mirror", "qemu mirror, new only"
NAMES = (HOLDFAST, NBDKIT, QEMU, SYNC, ASYNC, MIRROR, NEW_ONLY)
REPLICATED: dict[str, tuple[str, ...]] = {SYNC: (), ASYNC: ("b",)}
"""With one replica: which members are async."""
MIRRORED = {MIRROR: "full", NEW_ONLY: "none"}
"""With a write-blocking mirror to a second daemon over NBD: what is copied beforehand."""


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


class Files:
    """The two files, with every block allocated, made once: who comes later overwrites them."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first.raw", folder / "second.raw"
        for file in (self.first, self.second):
            with file.open("wb") as made:
                for _ in range(SIZE // MIB):
                    made.write(os.urandom(MIB))
        self.settle()

    def settle(self) -> None:
        """What was written so far is on the disk: nobody pays for what came before. OSError."""
        for file in (self.first, self.second):
            with file.open("rb") as written:
                os.fsync(written.fileno())


@contextmanager
def serving(name: str, files: Files) -> Iterator[Served]:
    """The server `name`. Raises RuntimeError, OSError, AssertionError: it does not serve."""
    with tempfile.TemporaryDirectory(dir=files.first.parent) as scratch, ExitStack() as stack:
        folder = Path(scratch)
        if name in REPLICATED:
            served = stack.enter_context(_replicated(REPLICATED[name], files, folder))
        elif name in MIRRORED:
            served = stack.enter_context(_mirrored(MIRRORED[name], files, folder))
        else:
            served = stack.enter_context(_alone(_command(name, files.first, folder / "s"), folder))
        files.settle()
        yield served


def _command(name: str, file: Path, sock: Path) -> list[str]:
    if name == HOLDFAST:
        started = [sys.executable, "-m", "holdfast.storage_replication.data_path"]
        return [*started, "--volume", "v1", "--file", str(file), "--unix", str(sock)]
    if name == NBDKIT:
        return ["nbdkit", "-f", "-e", "v1", "-U", str(sock), "file", str(file)]
    return [
        "qemu-storage-daemon",
        *("--chardev", f"socket,id=c,path={sock}.qmp,server=on,wait=off", "--monitor", "c"),
        *("--blockdev", f"driver=file,node-name=f,filename={file},discard=unmap"),
        *("--nbd-server", f"addr.type=unix,addr.path={sock},max-connections=16"),
        *("--export", "type=nbd,id=e,node-name=f,name=v1,writable=on"),
    ]


@contextmanager
def _alone(command: list[str], folder: Path, sock: str = "s") -> Iterator[Served]:
    path = folder / sock
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve")
            time.sleep(0.05)
        yield Served(f"nbd+unix:///v1?socket={path}", [process.pid])
    finally:
        process.terminate()
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WITHIN)


@contextmanager
def _mirrored(sync: str, files: Files, folder: Path) -> Iterator[Served]:
    target = _alone(_command(QEMU, files.second, folder / "t"), folder, "t")
    source = _alone(_command(QEMU, files.first, folder / "s"), folder)
    with target as below, source as above:
        qemu.mirror(folder / "s.qmp", folder / "t", sync)
        yield Served(above.uri, [*above.pids, *below.pids])


@contextmanager
def _replicated(asynchronous: tuple[str, ...], files: Files, folder: Path) -> Iterator[Served]:
    volume = Volume(folder, size=SIZE, asynchronous=asynchronous, bounds=PATIENT)
    for node, file in zip(volume.nodes.values(), (files.first, files.second), strict=True):
        node.file = file
    with running(volume):
        settled(volume)
        pids = [node.process.pid for node in volume.nodes.values() if node.process]
        yield Served(f"nbd+unix:///v1?socket={volume.primary.nbd}", pids)


def settled(volume: Volume) -> None:
    """Everybody is in step. Raises AssertionError."""
    deadline = time.monotonic() + SETTLED_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            volume.settled()
            return
    volume.settled()
