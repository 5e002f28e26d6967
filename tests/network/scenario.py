"""One scenario: a fault, what the observer saw meanwhile, and whether that is what must happen."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.client import LedgerClient
from tests.network.cluster import NetworkCluster
from tests.network.owners import Sample, Span, answering, living, moves, overlaps, told
from tests.support.cluster import HOSTS
from tests.support.waiting import until

SETTLE = 90.0
WRITES = 10
PROBE_STOP = 10.0
_numbers = itertools.count(1)


class Outcome(msgspec.Struct, kw_only=True):
    """What one scenario showed; a line of the table at the end of the run."""

    name: str
    expected: str
    moves: int
    overlaps: int
    longest_outage: float
    owners: str
    note: str = ""

    def __str__(self) -> str:
        return (
            f"{self.name}: moves {self.moves} (expected {self.expected}), "
            f"overlaps {self.overlaps}, longest outage {self.longest_outage:.1f} s; {self.owners}"
            + (f"; {self.note}" if self.note else "")
        )


OUTCOMES: list[Outcome] = []


@dataclass
class Scene:
    """A scenario under way."""

    cluster: NetworkCluster
    owner: str
    other: str
    epoch: int
    began: str
    client: LedgerClient
    samples: list[Sample] = field(default_factory=list)
    faulted: float = 0.0
    """When the fault began, on this machine's monotonic clock."""
    healed: float = 0.0
    note: str = ""

    def fault(self) -> None:
        """Now it begins."""
        self.faulted, self.began = monotonic(), wall_time()

    async def last(self, seconds: float) -> None:
        """The outage goes on for so long."""
        await asyncio.sleep(seconds)

    async def moved(self) -> None:
        """The other host runs it, and takes writes."""
        await self.cluster.seen("group_verified", since=self.began, node=self.other, timeout=SETTLE)
        assert await asyncio.to_thread(self.client.wait_acknowledged, WRITES, SETTLE)

    @property
    def answering(self) -> list[Span]:
        """Who answered, when."""
        return answering(self.samples)

    @property
    def awake(self) -> list[Span]:
        """Whose process could act, when."""
        return living(self.samples, frozen_too=False)

    def stopped_after(self) -> float:
        """Seconds from the fault to the end of the old owner's process."""
        old = [s for s in self.awake if s.host == self.owner and s.epoch == self.epoch]
        return old[-1].ended - self.faulted


@contextlib.asynccontextmanager
async def scenario(
    cluster: NetworkCluster, name: str, *, expect: int | range
) -> AsyncIterator[Scene]:
    """Run a fault under observation; heals it afterwards. `expect`: how many moves are right."""
    await cluster.restore()
    group = await cluster.wait_active()
    assert group.owner is not None
    other = next(host for host in HOSTS if host != group.owner)
    async with cluster.observed() as client:
        assert await asyncio.to_thread(client.wait_acknowledged, WRITES, SETTLE)
        scene = Scene(cluster, group.owner, other, group.epoch, wall_time(), client)
        file = next_file(cluster)
        with probing(cluster, file):
            await until(lambda: both_seen(file), what="the observer sees the owner")
            client.mark("fault")
            scene.fault()
            yield scene
            scene.healed = monotonic()
            await cluster.restore()
            assert await asyncio.to_thread(client.wait_acknowledged, WRITES, SETTLE)
            outage = client.mark("end").longest_outage
        scene.samples = read(file)
    _judge(scene, name, expect, outage)
    await cluster.audit()


def next_file(cluster: NetworkCluster) -> Path:
    """Where the observer writes next."""
    return cluster.folder / f"probe-{next(_numbers)}.jsonl"


def read(file: Path) -> list[Sample]:
    """All that the observer wrote."""
    decoder = msgspec.json.Decoder(Sample)
    return [decoder.decode(line) for line in file.read_bytes().splitlines()]


def both_seen(file: Path) -> bool:
    """Whether the observer saw a ledger answer, and its process."""
    text = file.read_text() if file.exists() else ""
    return '"alive"' in text and '"epoch":' in text


def _judge(scene: Scene, name: str, expect: int | range, outage: float) -> None:
    answered, awake = scene.answering, scene.awake
    together = [*overlaps(answered), *overlaps(awake)]
    seen = moves(answered)
    wanted = range(expect, expect + 1) if isinstance(expect, int) else expect
    outcome = Outcome(
        name=name,
        expected=f"{wanted.start}" if len(wanted) == 1 else f"{wanted.start}-{wanted[-1]}",
        moves=seen,
        overlaps=len(together),
        longest_outage=outage,
        owners=told(answered, scene.faulted),
        note=scene.note,
    )
    OUTCOMES.append(outcome)
    assert not together, together
    assert seen in wanted, outcome
    if expect == 0:
        pids = {(one.host, one.pid) for one in awake}
        assert len(pids) == 1, f"nothing may be restarted either: {awake}"


@contextlib.contextmanager
def probing(cluster: NetworkCluster, file: Path) -> Iterator[None]:
    """Observe from outside meanwhile."""
    hosts = [f"{host}={url},{cluster.lab.inode(host)}" for host, url in cluster.urls.items()]
    argv = [sys.executable, "-m", "tests.network.probe", "--data", cluster.journal]
    probe = subprocess.Popen([*argv, "--out", str(file), *hosts])
    try:
        yield
        assert probe.poll() is None, "the observer ended early"
    finally:
        probe.terminate()
        assert probe.wait(PROBE_STOP) == 0
