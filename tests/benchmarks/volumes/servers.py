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
from tests.support.nats import free_ports
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
MIRROR, QUORUM = "qemu mirror", "qemu quorum"
NAMES = (HOLDFAST, NBDKIT, QEMU, SYNC, ASYNC, MIRROR, QUORUM)
REPLICATED: dict[str, tuple[str, ...]] = {SYNC: (), ASYNC: ("b",)}
"""With one replica: which members are async."""


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
        elif name in (MIRROR, QUORUM):
            served = stack.enter_context(_doubled(name, files, folder))
        else:
            sock = folder / "s"
            pid = stack.enter_context(_started(_command(name, files.first, sock), sock))
            served = Served(f"nbd+unix:///v1?socket={sock}", [pid])
        files.settle()
        yield served


def _command(name: str, file: Path, sock: Path) -> list[str]:
    if name == HOLDFAST:
        started = [sys.executable, "-m", "holdfast.storage_replication.data_path"]
        return [*started, "--volume", "v1", "--file", str(file), "--unix", str(sock)]
    if name == NBDKIT:
        return ["nbdkit", "-f", "-e", "v1", "-U", str(sock), "file", str(file)]
    return _qemu(file, sock, f"addr.type=unix,addr.path={sock}", served="f")


def _qemu(file: Path, sock: Path, address: str, *nodes: str, served: str) -> list[str]:
    """`sock`: its monitor is beside it. `nodes` are on top of the file's, which is `f`."""
    return [
        "qemu-storage-daemon",
        *("--chardev", f"socket,id=c,path={sock}.qmp,server=on,wait=off", "--monitor", "c"),
        *("--blockdev", f"driver=file,node-name=f,filename={file},discard=unmap"),
        *(part for node in nodes for part in ("--blockdev", node)),
        *("--nbd-server", f"{address},max-connections=16"),
        *("--export", f"type=nbd,id=e,node-name={served},name=v1,writable=on"),
    ]


@contextmanager
def _started(command: list[str], path: Path) -> Iterator[int]:
    """Its process, once it listens on `path`. Raises RuntimeError."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WITHIN)


@contextmanager
def _doubled(name: str, files: Files, folder: Path) -> Iterator[Served]:
    """Also to a second daemon over NBD and TCP, before a write is answered."""
    (port,) = free_ports(1)
    below = _qemu(
        files.second,
        folder / "t",
        f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}",
        served="f",
    )
    other = f"driver=nbd,node-name=t,server.type=inet,server.host=127.0.0.1,server.port={port}"
    both = "driver=quorum,node-name=q,vote-threshold=1,read-pattern=fifo"
    sock = folder / "s"
    nodes, served = [f"{other},export=v1"], "f"
    if name == QUORUM:
        nodes, served = [*nodes, f"{both},children.0=f,children.1=t"], "q"
    above = _qemu(files.first, sock, f"addr.type=unix,addr.path={sock}", *nodes, served=served)
    with _started(below, folder / "t.qmp") as target, _started(above, sock) as source:
        if name == MIRROR:
            qemu.mirror(folder / "s.qmp")
        yield Served(f"nbd+unix:///v1?socket={sock}", [source, target])


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
