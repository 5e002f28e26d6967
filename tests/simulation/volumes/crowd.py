"""Many seeds, on all cores."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.volumes.run import Result, run


def play(seeds: Iterable[int]) -> Iterator[Result]:
    """In the order of the seeds."""
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), get_context("spawn")) as pool:
        yield from pool.map(run, seeds, chunksize=25)
