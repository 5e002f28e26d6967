"""A round: load, the loss of the host that runs the database, and everything that must hold."""

import asyncio
import contextlib
import random
from dataclasses import dataclass

from holdfast.clock import monotonic
from tests.postgres.cluster import DatabaseCluster
from tests.postgres.database import Unanswered
from tests.postgres.load import CLIENTS, Load, Promises
from tests.support.cluster import HOSTS

FEWEST, MOST = 100, 1500
"""Committed transactions before the host is killed."""
UNDER_LOAD_WITHIN = 120.0
RECOVERED_WITHIN = 120.0
AGAIN_AFTER = 0.1


@dataclass(frozen=True)
class Round:
    """What was seen. Times in seconds."""

    number: int
    host: str
    noted: int
    lost: int
    recovered: float
    """From the kill to the first commit on the other host."""
    back: float
    """From power on until all is well again, copies in sync."""

    def __str__(self) -> str:
        return (
            f"round {self.number}: {self.host} killed, {self.noted} transactions committed, "
            f"{self.lost} lost, first commit after {self.recovered:.1f} s, "
            f"all well {self.back:.1f} s after power on"
        )


async def play(
    cluster: DatabaseCluster, promises: Promises, number: int, chance: random.Random
) -> Round:
    """One round; the cluster is healthy before and after."""
    host = await cluster.owner()
    load = Load(cluster.folder, cluster.server, number)
    try:
        await _committed(cluster, number, chance.randint(FEWEST, MOST))
        await cluster.in_sync()
        began = monotonic()
        await cluster.kill_host(host)
        noted = await asyncio.to_thread(load.noted)
    finally:
        load.kill()
    assert set(noted) == set(range(CLIENTS)), f"clients that committed nothing: {noted}"
    recovered = await _answers(cluster, number) - began
    promises.add(number, noted)
    lost = await promises.lost(cluster.server)
    await cluster.server.is_sound()
    assert await cluster.owner() == next(one for one in HOSTS if one != host)
    began = monotonic()
    await cluster.power_on(host)
    return Round(
        number=number,
        host=host,
        noted=noted.total(),
        lost=lost,
        recovered=recovered,
        back=monotonic() - began,
    )


async def _committed(cluster: DatabaseCluster, number: int, wanted: int) -> None:
    query = f"select count(*) from committed where round = {number}"
    deadline, count = monotonic() + UNDER_LOAD_WITHIN, 0
    while count < wanted:
        assert monotonic() < deadline, f"{count} of {wanted} transactions"
        await asyncio.sleep(AGAIN_AFTER)
        ((text,),) = await cluster.server.ask(query)
        count = int(text)


async def _answers(cluster: DatabaseCluster, number: int) -> float:
    """When the database has committed something again, in monotonic seconds."""
    deadline = monotonic() + RECOVERED_WITHIN
    while monotonic() < deadline:
        with contextlib.suppress(Unanswered):
            await cluster.server.ask(f"insert into answered values ({number})")
            return monotonic()
        await asyncio.sleep(AGAIN_AFTER)
    raise AssertionError(f"no commit within {RECOVERED_WITHIN:.0f} s")
