"""Random faults on one cluster, one after another, under one observation without a gap."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.client import LedgerClient
from holdfast.timing import PROFILES
from tests.network.cluster import PLACES, NetworkCluster
from tests.network.faults import Fault, draw
from tests.network.owners import Sample, answering, living, moves, overlaps
from tests.network.scenario import SETTLE, WRITES

AFTERMATH = PROFILES["standard"].suspect_after + 1.0
"""Seconds after a fault in which what it set going would show."""


class Run(msgspec.Struct, kw_only=True):
    """What one fault showed."""

    seed: int
    networks: int
    fault: Fault
    moves: int = 0
    restarts: int = 0
    """Processes of the ledger begun where none was needed."""
    overlaps: int = 0
    longest_outage: float = 0.0
    error: str = ""

    @property
    def unneeded(self) -> int:
        """Moves beyond those that are right."""
        return max(0, self.moves - self.fault.most)

    @property
    def right(self) -> bool:
        """Whether it is what must happen."""
        wanted = self.fault.least <= self.moves <= self.fault.most
        return wanted and not (self.overlaps or self.restarts or self.error)

    def __str__(self) -> str:
        told = f"seed {self.seed}, {self.fault}: moves {self.moves} "
        told += f"(expected {self.fault.least}-{self.fault.most}), restarts {self.restarts}, "
        told += f"overlaps {self.overlaps}, longest outage {self.longest_outage:.1f} s"
        return told + (f"; {self.error}" if self.error else "")


RUNS_SEEN: list[Run] = []


class Summary(msgspec.Struct, kw_only=True):
    """All runs in figures; times in seconds."""

    runs: int
    failed: int
    faults: dict[str, int]
    moves: int
    unneeded_moves: int
    unneeded_restarts: int
    overlaps: int
    longest_outage_without_move: float
    longest_outage: float


def summary(runs: list[Run]) -> Summary:
    """Pure."""
    calm = [run.longest_outage for run in runs if not run.moves]
    return Summary(
        runs=len(runs),
        failed=sum(not run.right for run in runs),
        faults=dict(sorted(Counter(run.fault.kind for run in runs).items())),
        moves=sum(run.moves for run in runs),
        unneeded_moves=sum(run.unneeded for run in runs),
        unneeded_restarts=sum(run.restarts for run in runs),
        overlaps=sum(run.overlaps for run in runs),
        longest_outage_without_move=max(calm, default=0.0),
        longest_outage=max((run.longest_outage for run in runs), default=0.0),
    )


def told(runs: list[Run]) -> Iterator[str]:
    """For people: every run that was not right, and the figures."""
    yield from (str(run) for run in runs if not run.right)
    figures = summary(runs)
    yield f"{figures.runs} runs, {figures.failed} of them wrong"
    yield "faults: " + ", ".join(f"{kind} {count}" for kind, count in figures.faults.items())
    yield (
        f"moves {figures.moves}, unneeded {figures.unneeded_moves}; "
        f"unneeded restarts {figures.unneeded_restarts}; overlaps {figures.overlaps}"
    )
    yield (
        f"longest outage {figures.longest_outage:.1f} s, "
        f"where nothing moved {figures.longest_outage_without_move:.1f} s"
    )


def write(runs: list[Run], file: Path) -> None:
    """The figures and every run, as JSON."""
    file.write_bytes(msgspec.json.encode({"summary": summary(runs), "runs": runs}) + b"\n")


class Soak:
    """A cluster under observation. `file` is where the observer writes."""

    def __init__(self, cluster: NetworkCluster, client: LedgerClient, file: Path) -> None:
        self.cluster = cluster
        self._client = client
        self._file = file.open("rb")
        self._decoder = msgspec.json.Decoder(Sample)
        self._last_host = ""

    def __enter__(self) -> "Soak":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def run(self, seed: int) -> Run:
        """The fault of this seed, and what was seen from the end of the last one to its own."""
        lab = self.cluster.lab
        run = Run(seed=seed, networks=len(lab.networks), fault=draw(seed, lab.networks))
        self._client.mark(str(seed))
        try:
            await self._inflict(run.fault)
            await asyncio.sleep(AFTERMATH)
            await self.cluster.restore()
            assert await asyncio.to_thread(self._client.wait_acknowledged, WRITES, SETTLE)
        except Exception as error:
            run.error = repr(error)[:500]
            raise
        finally:
            run.longest_outage = self._client.mark("between").longest_outage
            self._judge(run, self._new_samples())
            RUNS_SEEN.append(run)
        return run

    async def _inflict(self, fault: Fault) -> None:
        cluster, began = self.cluster, wall_time()
        owner = (await cluster.wait_active()).owner or ""
        other = next(host for host in cluster.urls if host != owner)
        place = {"owner": owner, "other": other}.get(fault.whom, fault.whom)
        ends = monotonic() + fault.lasts
        if fault.kind == "path flap":
            await self._flap(fault, ends)
        else:
            self._begin(fault, place)
            await asyncio.sleep(fault.lasts)
        if fault.least:
            await cluster.seen("group_verified", since=began, node=other, timeout=SETTLE)
        cluster.lab.heal()
        for each in PLACES:
            cluster.thaw(each)

    def _begin(self, fault: Fault, place: str) -> None:
        cluster, lab = self.cluster, self.cluster.lab
        match fault.kind:
            case "isolate":
                lab.isolate(place)
            case "mute" | "path mute":
                lab.mute(place, fault.network or None)
            case "deafen" | "path deafen":
                lab.deafen(place, fault.network or None)
            case "freeze" | "stall":
                cluster.freeze(place)
            case "loss":
                lab.lose(fault.percent)
            case "outage":
                lab.outage()
            case "path cut":
                lab.cut(fault.network)
            case _:
                raise AssertionError(fault)

    async def _flap(self, fault: Fault, ends: float) -> None:
        lab = self.cluster.lab
        for number, lasts in enumerate(fault.flaps):
            left = ends - monotonic()
            if left <= 0:
                return
            lab.heal() if number % 2 else lab.cut(fault.network)
            await asyncio.sleep(min(lasts, left))

    def _new_samples(self) -> list[Sample]:
        """What the observer wrote since the last call; a line that is not whole yet waits."""
        samples: list[Sample] = []
        while (line := self._file.readline()).endswith(b"\n"):
            samples.append(self._decoder.decode(line))
        self._file.seek(-len(line), 1)
        return samples

    def _judge(self, run: Run, samples: Iterable[Sample]) -> None:
        samples = list(samples)
        answered, awake = answering(samples), living(samples, frozen_too=False)
        run.overlaps = len(overlaps(answered)) + len(overlaps(awake))
        run.moves = moves(answered)
        if answered:
            run.moves += self._last_host not in ("", answered[0].host)
            self._last_host = answered[-1].host
        if run.fault.most == 0:
            run.restarts = max(0, len({(one.host, one.pid) for one in awake}) - 1)
