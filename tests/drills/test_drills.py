"""What `holdfast whatif` says of the live state of a real cluster is what then happens there."""

import os
import random
from collections import Counter

import msgspec
import pytest
import pytest_asyncio

from holdfast.console.demo.processes import run
from tests.drills.drill import Drilled, cluster_of_drills, drill
from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running

DRILLS = int(os.environ.get("DRILLS", "6"))
SEED = int(os.environ.get("DRILL_SEED", "1"))
EACH = 180.0
"""Seconds that a drill may take at the very most."""

pytestmark = [pytest.mark.drill, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="drilled")
async def cluster_for_drills(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """One cluster for all drills."""
    async with running(cluster_of_drills(tmp_path_factory.mktemp("drills"))) as started:
        yield started


@pytest.mark.timeout(EACH * DRILLS)
async def test_what_is_predicted_happens(drilled: RunningCluster) -> None:
    made: list[Drilled] = []
    wrong: list[Drilled] = []
    for number in range(SEED, SEED + DRILLS):
        one = await drill(drilled, random.Random(number))
        made.append(one)
        right = one.predicted == one.happened
        if not right:
            wrong.append(one)
        print(_line(number, one, right=right), flush=True)  # noqa: T201
    print(Counter(" ".join(w for w in one.question.split() if w not in NAMES) for one in made))  # noqa: T201
    await _replay(drilled)
    assert not wrong, "\n".join(f"{one.question}\n{one.predicted}\n{one.happened}" for one in wrong)


async def _replay(cluster: RunningCluster) -> None:
    """What every decider was given in all drills leads to the same decisions again."""
    code, told = await run(cluster.holdfast("audit", "replay", "--json"), timeout=EACH)
    assert code == 0, told
    report = msgspec.json.decode(told.splitlines()[-1])
    compared = sum(journal["record"]["compared"] for journal in report["journals"])
    steps = sum(one["steps"] for journal in report["journals"] for one in journal["segments"])
    print(f"replayed: {steps} steps, {compared} decisions as on the public record")  # noqa: T201
    assert compared >= DRILLS / 2


NAMES = ("alpha", "beta", "witness", "ledger", "sleeper", "pinned", "to")


def _line(number: int, one: Drilled, *, right: bool) -> str:
    seconds = ""
    if one.predicted_seconds is not None and one.happened_seconds is not None:
        seconds = f", {one.predicted_seconds:.1f} s predicted, {one.happened_seconds:.1f} s taken"
    decisions = len(one.happened.decisions), len(one.happened.refusals)
    verdict = "as predicted" if right else "OTHERWISE"
    counted = f"{decisions[0]} made, {decisions[1]} refused"
    return f"{number:4} {one.question:28} {verdict}: {counted}{seconds}"
