"""nats-servers are lost: most of them move nothing; all of them, and the owner ends its group."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.exchange import ExchangeError, exchange
from holdfast.timing import PROFILES
from tests.support.cluster import RunningCluster
from tests.support.follower import event
from tests.support.kills import assert_one_owner_at_a_time
from tests.support.waiting import gone, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.chaos,
]
TTL = PROFILES["standard"].ttl


@contextmanager
def held_down(cluster: RunningCluster, place: str) -> Iterator[None]:
    """The place's nats-server is killed and its frozen supervisor cannot start it again."""
    supervisor = int(cluster.local.place(place).record()["session"])
    os.kill(supervisor, signal.SIGSTOP)
    try:
        cluster.send(place, "nats-server", signal.SIGKILL)
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def answers(url: str) -> bool:
    """Whether a ledger answers there at all."""
    try:
        exchange(url, "GET", "/healthz", timeout=0.5)
    except ExchangeError:
        return False
    return True


async def test_voters_that_still_hear_each_other_keep_the_group_where_it_is(
    cluster: RunningCluster,
) -> None:
    """JetStream has no majority, so nothing could start; the server that is left carries votes."""
    owner, before = await cluster.owner(), (await cluster.group()).epoch
    pid = await cluster.workload()
    began = wall_time()
    async with cluster.observed() as ledger:
        with ExitStack() as down:
            for place in [place for place in cluster.local.places if place != owner]:
                down.enter_context(held_down(cluster, place))
            deadline = monotonic() + 2 * TTL
            while monotonic() < deadline:
                assert await asyncio.to_thread(ledger.wait_acknowledged, 1, 5)
            assert not gone(pid)
        await cluster.healthy()
    assert (await cluster.group()).epoch == before
    assert await cluster.owner() == owner
    assert await cluster.workload() == pid
    assert not [seen for seen in cluster.follower.since(began) if event("lease_lost")(seen)]


async def test_without_a_majority_of_voters_the_group_ends_before_its_lease(
    cluster: RunningCluster,
) -> None:
    owner, before = await cluster.owner(), (await cluster.group()).epoch
    pid = await cluster.workload()
    async with cluster.observed():
        began = wall_time()
        with ExitStack() as down:
            for place in cluster.local.places:
                down.enter_context(held_down(cluster, place))
            # Nothing can be granted from here on, so the last promise ends within a ttl.
            lost_at = monotonic()
            await until(lambda: gone(pid), within=2 * TTL, what="the ledger is stopped")
            assert monotonic() - lost_at < TTL
            # Long enough for anybody who thought the lease was free to start it.
            deadline = monotonic() + 2 * TTL
            while monotonic() < deadline:
                assert not await asyncio.to_thread(answers, cluster.url), "it runs nowhere"
        group = await cluster.wait_active()
        assert group.epoch > before
        await cluster.healthy()
    lost = await cluster.seen("lease_lost", since=began, node=owner)
    stopped = await cluster.seen("group_stopped", since=began, node=owner, epoch=before)
    assert lost.envelope.time <= stopped.envelope.time
    for seen in cluster.follower.since(began):
        if event("resource_started", resource="web")(seen):
            assert seen.envelope.time > stopped.envelope.time
    await cluster.audit()
    assert_one_owner_at_a_time(cluster)
