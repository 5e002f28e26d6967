"""What makes a seed worth something: it is a whole history, and it shows what rests on what."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.simulator.run import run
from tests.simulation.simulator.timeline import Tape
from tests.simulation.simulator.violation import Violation
from tests.simulation.simulator.world import World

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [7, 23], ids=["told to people", "volumes"])
def test_a_seed_is_the_whole_history(seed: int) -> None:
    """Other processes and other hash seeds: the same bytes."""
    program = (
        "from tests.simulation.simulator import run, timeline\n"
        f"tape = timeline.Tape(); run.run({seed}, tape); print(tape.text())"
    )
    texts = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True)
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert texts[0].count(b"\n") > 50


def test_other_seeds_are_other_histories() -> None:
    tapes = [Tape(), Tape()]
    for seed, tape in enumerate(tapes):
        run(seed, tape)
    assert tapes[0].text() != tapes[1].text()


def test_a_fence_device_that_lies_is_survived_by_no_software() -> None:
    """It says `off` of a host that runs on: this shows what all the rest rests on."""
    seed = next(s for s in range(100) if _fenced_by_one_device(World(s)))
    world = World(seed)
    world.engine.run_until(20.0)
    owner = world.store.current["g0"][0].owner
    assert owner is not None
    world.fences.lies_off.add(owner)
    for other in world.places:
        if other != owner:
            # It still reaches the host's own voter, which is no majority.
            world.network.cut[other, owner] = world.network.cut[owner, other] = 1
    world.hands(owner).freeze()  # type: ignore[union-attr]
    with pytest.raises(Violation, match=r"I1|I3|I4"):
        world.engine.run_until(60.0)


def _fenced_by_one_device(world: World) -> bool:
    nodes = world.file.nodes.values()
    return all(len(node.fence) == 1 and node.watchdog is None for node in nodes)
