"""The cores in a hostile world: no invariant is ever broken, and trouble is got over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.simulator.crowd import Figures, play
from tests.simulation.simulator.invariants import Violation
from tests.simulation.simulator.run import TROUBLE, run
from tests.simulation.simulator.timeline import Tape
from tests.simulation.simulator.world import World

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "300"))
WORKERS = 2
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_no_history_breaks_an_invariant_and_every_one_comes_to_rest() -> None:
    figures = Figures()
    for result in play(range(SEEDS), WORKERS):
        figures.add(result)
    assert figures.found == [], "replay it: make simulate SEED=<the first number>"
    assert figures.seeds == SEEDS
    # What makes the line above worth something: the trouble was real, and most groups run after it.
    assert figures.virtual > SEEDS * TROUBLE
    assert min(figures.faults.values()) > SEEDS / 50
    assert figures.faults.total() > 5 * SEEDS
    assert figures.outcomes["active"] > 0.95 * figures.outcomes.total()
    assert figures.moves > 2 * SEEDS


def test_a_seed_is_the_whole_history() -> None:
    """Other processes and other hash seeds: the same bytes."""
    program = (
        "from tests.simulation.simulator import run, timeline\n"
        "tape = timeline.Tape(); run.run(7, tape); print(tape.text())"
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
    seed = next(s for s in range(100) if not World(s).lease_only)
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
