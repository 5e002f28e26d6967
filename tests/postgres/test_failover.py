"""The database's host is killed under load, again and again; the other one has every commit."""

import filecmp
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.postgres import database
from tests.postgres.cluster import GROUP, DatabaseCluster
from tests.postgres.load import Promises
from tests.postgres.rounds import Round, play
from tests.support.cluster_fixture import running

ROUNDS = int(os.environ.get("POSTGRES_ROUNDS", "2"))
SEED = int(os.environ.get("POSTGRES_SEED", "1"))
EACH = 300.0
"""Seconds that a round may take at the very most."""

pytestmark = pytest.mark.postgres


@pytest_asyncio.fixture
async def cluster(folder: Path) -> AsyncIterator[DatabaseCluster]:
    """A cluster that runs the database; stopped in order, then every copy is examined."""
    made = DatabaseCluster(folder)
    async with running(made):
        yield made
        await made.command("stop", GROUP)
        await made.in_sync()
    one, other = made.copies
    assert filecmp.cmp(one, other, shallow=False), "two copies in sync are not the same"
    database.examine(one, folder / "last")


@pytest.mark.timeout(120 + EACH * ROUNDS)
async def test_no_committed_transaction_is_lost(cluster: DatabaseCluster) -> None:
    promises = Promises()
    rounds: list[Round] = []
    for number in range(1, ROUNDS + 1):
        rounds.append(await play(cluster, promises, number, random.Random(SEED + number)))
        print(rounds[-1], flush=True)  # noqa: T201
    print(_summary(rounds))  # noqa: T201
    assert {one.host for one in rounds} == {"alpha", "beta"}
    assert sum(one.lost for one in rounds) == 0


def _summary(rounds: list[Round]) -> str:
    seconds = sorted(one.recovered for one in rounds)
    return (
        f"{len(rounds)} rounds, {sum(one.noted for one in rounds)} transactions committed, "
        f"{sum(one.lost for one in rounds)} lost, first commit after {seconds[0]:.1f} to "
        f"{seconds[-1]:.1f} s (median {seconds[len(seconds) // 2]:.1f} s)"
    )
