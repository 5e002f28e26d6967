"""Blocks as registers under kill, pause, partition and promotion of real processes, in the manner
of Jepsen.

Clients read and write blocks over NBD at any member that answers, the wrong one too. Every run is
drawn from its seed: `make volumes RUNS=100 SEED=1`. Without network namespaces, which need root,
the network between members is loopback and stays whole; the summary says so.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.support import linearizable
from tests.support.lab import missing
from tests.support.replicated import Volume
from tests.volumes.faults import Faults
from tests.volumes.members import members
from tests.volumes.partitions import Partitions
from tests.volumes.registers import Clients

pytestmark = pytest.mark.volumes

RUNS = int(os.environ.get("VOLUME_RUNS") or "10")
SEED = int(os.environ.get("VOLUME_SEED") or "1")
FAULTS = 3


@pytest.fixture(scope="module")
def no_lab() -> str:
    """Why there are no partitions here; empty: there are."""
    return missing()


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_every_block_is_a_register(
    tmp_path: Path, seed: int, no_lab: str, record_property: Callable[[str, object], None]
) -> None:
    random = Random(f"{seed} faults")
    names = random.choice((("a", "b"), ("a", "b", "c")))
    with members(tmp_path, names, not no_lab) as volume:
        clients = Clients(volume, seed)
        trouble = _trouble(volume, clients, random)
        try:
            for _ in range(FAULTS):
                clients.acknowledge(30)
                if random.random() < 0.7:
                    volume.settled()  # else whoever could take over is still being brought up
                trouble.strike()
            clients.acknowledge(30)
        finally:
            clients.stop()
            record_property(
                "run",
                f"seed {seed}, {len(names)} members: {clients.acknowledged} writes acknowledged, "
                f"{clients.unknown} unknown, {clients.reads} reads; {', '.join(trouble.done)}"
                + (f"; no partitions: {no_lab}" if no_lab else ""),
            )
        volume.settled()
        clients.read_all()
        volume.same()
    for place, history in clients.histories.items():
        found = linearizable.problem(history)
        assert not found, f"block at {place}, {trouble.done}: {found}"


def _trouble(volume: Volume, clients: Clients, random: Random) -> Faults:
    if volume.lab is None:
        return Faults(volume, clients, random)
    return Partitions(volume, clients, random, volume.lab)
