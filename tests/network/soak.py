"""Random faults on one cluster, one after another, under one observation without a gap."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import msgspec

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.client import LedgerClient
from holdfast.timing import PROFILES
from tests.network.cluster import PLACES, NetworkCluster
from tests.network.faults import Fault, draw
from tests.network.owners import (
    AWAKE_AT_MOST,
    Sample,
    answering,
    current,
    living,
    moves,
    overlaps,
    together,
)
from tests.network.runs import RUNS_SEEN, Run
from tests.network.scenario import SETTLE, WRITES

AFTERMATH = PROFILES["standard"].suspect_after + 1.0
"""Seconds after a fault in which what it set going would show."""


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
        run = Run(
            seed=seed,
            networks=len(lab.networks),
            fencing=self.cluster.fencing,
            fault=draw(seed, lab.networks),
        )
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
        pairs = [*overlaps(answered), *overlaps(awake)]
        if run.wakes:
            run.awake = max((together(*pair) for pair in pairs), default=0.0)
            pairs = [pair for pair in pairs if together(*pair) > AWAKE_AT_MOST]
        run.overlaps = len(pairs)
        owners = current(answered)
        run.moves = moves(owners)
        if owners:
            run.moves += self._last_host not in ("", owners[0].host)
            self._last_host = owners[-1].host
        if run.fault.most == 0:
            run.restarts = max(0, len({(one.host, one.pid) for one in awake}) - 1)
