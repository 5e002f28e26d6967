"""Crashes at any step of a volume's life: every promise holds, and everybody comes back."""

import os
from collections import Counter

import pytest

from tests.simulation.volumes.crowd import play
from tests.simulation.volumes.run import run

SEEDS = int(os.environ.get("CRASH_SEEDS", "500"))


@pytest.mark.timeout(900)
def test_no_crash_breaks_a_promise() -> None:
    found: list[str] = []
    figures: Counter[str] = Counter()
    for result in play(range(SEEDS)):
        figures += result.figures
        if result.violation:
            found.append(f"{result.seed} {result.violation}")
    assert found == [], "replay it: make crash-replay SEED=<the first number>"
    # What makes the line above worth something: all of it has happened, and work was done.
    for what in ("kill", "power", "primary dies", "cut", "Frozen", "taken out", "fallback",
                 "absent and known", "DiskFailed",
                 "FallbackLost", "memory lost", "joined", "move", "grown", "verify",
                 "bad sectors", "removed", "left under way"):  # fmt: skip
        assert figures[what] > SEEDS / 50, what
    assert figures["added"] > SEEDS / 100
    assert figures["repair"] > SEEDS / 100
    assert figures["write"] > 30 * SEEDS


def test_a_seed_is_the_whole_history() -> None:
    assert run(3).tape == run(3).tape
    assert run(3).tape != run(4).tape
