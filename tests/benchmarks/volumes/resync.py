"""What a resync sends, and what it costs the clients: two members of a sparse volume of 1 TiB.

For what it costs, the replica has a processor of its own, as it has on another host: what clients
would wait for there is the benchmark's, not the volume's.
"""

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec

from holdfast.storage_replication.engine.ports import MemberLost, ResyncDone, ResyncStarted
from tests.benchmarks.volumes.servers import MIB, PATIENT, SETTLED_WITHIN, settled
from tests.support.nbd_client import Client
from tests.support.replicated import Volume, running

T = TypeVar("T")

SIZE = 1 << 40
DIRTY = 1 << 30
BLOCK = 4096
FOREGROUND = 256 * MIB
"""From the start of the volume: where the clients write meanwhile."""
USUAL = 8.0
"""Seconds for what is usual, without a resync: with both members, and with one."""
LIMIT = 60.0
"""Seconds for a resync with clients; what it did not reach is not measured."""


class Sent(msgspec.Struct, frozen=True):
    """Of one resync, in bytes."""

    dirtied: int
    told: int
    """Data, says the event."""
    out: int
    back: int
    """As the kernel counted them on the connection, until it was done."""
    seconds: float


class Latency(msgspec.Struct, frozen=True):
    """Of 4 KiB writes at depth 1, in microseconds."""

    before: float
    """p99 while both members have everything, as of the others."""
    alone: float
    """While one is away: nobody is waited for, as in a resync."""
    during: float
    writes: int
    """During it."""
    seconds: float
    share: float
    """Of the resync that was done within LIMIT."""


class Equal(Volume):
    """Two members with the same content from the start: nothing but holes."""

    def start(self, primary: str = "a") -> None:
        """All of them in sync; one is promoted."""
        for node in self.nodes.values():
            node.launch()
        self._renewer.start()
        self.record.in_sync = set(self.nodes)
        self.promote(primary)


def measure(folder: Path) -> tuple[Sent, Latency]:
    """One after the other. Raises AssertionError: something does not happen."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        volume = Equal(Path(scratch), size=SIZE, bounds=PATIENT)
        with running(volume):
            settled(volume)
            sent, processors = _sent(volume), sorted(os.sched_getaffinity(0))
            try:
                return sent, _latency(volume, processors)
            finally:
                os.sched_setaffinity(0, processors)


def _sent(volume: Volume) -> Sent:
    _dirty(volume, seed=1)
    replica = volume.nodes["b"]
    known = len(volume.primary.happened(ResyncDone))
    began = time.monotonic()
    replica.launch()
    done = _next(volume, ResyncDone, known)
    seconds = time.monotonic() - began
    out, back = _counted(replica.port)
    settled(volume)
    return Sent(dirtied=DIRTY, told=done.bytes, out=out, back=back, seconds=seconds)


def _latency(volume: Volume, processors: list[int]) -> Latency:
    primary, random = volume.primary, Random(2)
    _apart(volume, processors)
    with volume.client() as client:
        before = _write(client, random, lambda began: time.monotonic() - began > USUAL)
    _dirty(volume, seed=2)
    with volume.client() as client:
        alone = _write(client, random, lambda began: time.monotonic() - began > USUAL)
    started = len(primary.happened(ResyncStarted))
    ended = len(primary.happened(ResyncDone))
    volume.nodes["b"].launch()
    _apart(volume, processors)
    with volume.client() as client:
        _write(client, random, lambda _: len(primary.happened(ResyncStarted)) > started)
        began = time.monotonic()
        during = _write(
            client,
            random,
            lambda began: (
                len(primary.happened(ResyncDone)) > ended or time.monotonic() - began > LIMIT
            ),
        )
        seconds, share = time.monotonic() - began, _share(volume)
    return Latency(
        before=_p99(before),
        alone=_p99(alone),
        during=_p99(during),
        writes=len(during),
        seconds=seconds,
        share=share,
    )


def _apart(volume: Volume, processors: list[int]) -> None:
    """The last one for the replica, the others for the primary and its clients: us."""
    *ours, last = processors
    for task in _tasks(volume.nodes["b"].pid) if ours else ():
        os.sched_setaffinity(task, {last})
    for task in (*_tasks(volume.primary.pid), threading.get_native_id()) if ours else ():
        os.sched_setaffinity(task, ours)


def _tasks(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]


def _dirty(volume: Volume, seed: int) -> None:
    """DIRTY bytes in pieces of a MiB all over the volume, while the replica is away."""
    lost = len(volume.primary.happened(MemberLost))
    volume.nodes["b"].end()
    _next(volume, MemberLost, lost)
    with volume.client() as client:
        first = FOREGROUND // MIB
        for piece in Random(seed).sample(range(first, SIZE // MIB), DIRTY // MIB):
            assert client.write(piece * MIB, os.urandom(MIB)) == 0
        assert client.flush() == 0


def _write(client: Client, random: Random, enough: Callable[[float], bool]) -> list[float]:
    """The seconds that each write took, one after the other, until it is enough."""
    data, taken, began = os.urandom(BLOCK), list[float](), time.monotonic()
    while not enough(began):
        offset = random.randrange(FOREGROUND // BLOCK) * BLOCK
        start = time.perf_counter()
        assert client.write(offset, data) == 0
        taken.append(time.perf_counter() - start)
    return taken


def _p99(taken: list[float]) -> float:
    ordered = sorted(taken)
    return ordered[len(ordered) * 99 // 100] * 1e6


def _share(volume: Volume) -> float:
    state = volume.primary.state
    resync = state.members["b"].resync if state is not None else None
    return resync.done / max(resync.total, 1) if resync is not None else 1.0


def _next(volume: Volume, kind: type[T], known: int) -> T:
    """The first of its kind after so many. Raises AssertionError."""
    primary, deadline = volume.primary, time.monotonic() + SETTLED_WITHIN
    with volume.changed:
        while not (found := primary.happened(kind)[known:]):
            left = deadline - time.monotonic()
            assert left > 0, f"{kind.__name__}: {volume.standing()}"
            volume.changed.wait(left)
    return found[0]


def _counted(port: int) -> tuple[int, int]:
    """Bytes that went to a member and came from it, over the connection to its port."""
    command = ["ss", "--tcp", "--info", "--no-header", "state", "established", f"dport = :{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    acked, received = (
        re.findall(r"bytes_acked:(\d+)", said),
        re.findall(r"bytes_received:(\d+)", said),
    )
    assert len(acked) == len(received) == 1, said
    return int(acked[0]), int(received[0])
