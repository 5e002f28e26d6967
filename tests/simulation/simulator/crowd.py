"""Many seeds, over all cores, and what came of them in figures."""

import gc
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context

from tests.simulation.simulator.run import Result, run

CHUNK = 25
KEPT = 20


@dataclass
class Figures:
    """The sum of many seeds."""

    seeds: int = 0
    steps: int = 0
    events: int = 0
    moves: int = 0
    virtual: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    violations: int = 0
    found: list[tuple[int, str]] = field(default_factory=list)
    """The first few seeds with a violation, and which."""
    longest_rest: float = 0.0

    def add(self, result: Result) -> None:
        """Count one seed in."""
        self.seeds += 1
        self.steps += result.steps
        self.events += result.events
        self.moves += result.moves
        self.virtual += result.virtual
        self.faults += result.faults
        self.outcomes += result.outcomes
        self.seen += result.seen
        self.longest_rest = max(self.longest_rest, result.rest_after)
        if result.violation:
            self.violations += 1
            if len(self.found) < KEPT:
                self.found.append((result.seed, result.violation))


def play(seeds: range, workers: int) -> Iterator[Result]:
    """Play seeds in `workers` processes of low priority; results come as they are ready."""
    chunks = iter([seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)])
    with ProcessPoolExecutor(workers, get_context("spawn"), _prepare) as pool:
        waiting = {pool.submit(_chunk, chunk) for chunk in islice(chunks, 2 * workers)}
        try:
            while waiting:
                done = next(as_completed(waiting))
                waiting.discard(done)
                waiting |= {pool.submit(_chunk, chunk) for chunk in islice(chunks, 1)}
                yield from done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """Whoever interrupts the soak wants its figures: workers leave that to their parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(19)
    gc.disable()


def play_here(seeds: range) -> Iterator[Result]:
    """Play seeds in this process."""
    for at in range(0, len(seeds), CHUNK):
        gc.disable()
        try:
            results = _chunk(seeds[at : at + CHUNK])
        finally:
            gc.enable()
        yield from results


def _chunk(seeds: range) -> list[Result]:
    """Only what the seeds leave is looked through for garbage: the modules there before are not."""
    gc.freeze()
    results = [run(seed) for seed in seeds]
    gc.collect()
    gc.unfreeze()
    return results
