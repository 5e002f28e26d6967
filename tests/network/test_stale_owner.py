"""What lease-only means when nothing else keeps an owner that slept from waking up.

The other tests share one journal, whose lock refuses a second ledger whatever the cluster does.
Here each host has a folder of its own, so that only the lease stands between two owners.
"""

import asyncio

import pytest

from holdfast.clock import monotonic, wall_time
from holdfast.ledger.client import LedgerClient
from tests.network.cluster import NetworkCluster
from tests.network.owners import AWAKE_AT_MOST, answering, living, moves, overlaps, told
from tests.network.scenario import (
    OUTCOMES,
    SETTLE,
    WRITES,
    Outcome,
    both_seen,
    next_file,
    probing,
    read,
)
from tests.support.cluster import HOSTS
from tests.support.waiting import until

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]


async def test_owner_that_wakes_after_its_lease_is_killed_at_once(
    own_folders: NetworkCluster,
) -> None:
    cluster = own_folders
    group = await cluster.wait_active()
    owner = group.owner or ""
    other = next(host for host in HOSTS if host != owner)
    stale, fresh = (LedgerClient([cluster.urls[host]]) for host in (owner, other))
    stale.start()
    fresh.start()
    file = next_file(cluster)
    try:
        with probing(cluster, file):
            await until(lambda: both_seen(file), what="the observer sees the owner")
            began, frozen = wall_time(), monotonic()
            cluster.freeze(owner)
            await cluster.seen("group_verified", since=began, node=other, timeout=SETTLE)
            assert await asyncio.to_thread(fresh.wait_acknowledged, WRITES, SETTLE)
            before, woken = stale.acknowledged, monotonic()
            cluster.thaw(owner)
            await cluster.seen("group_stopped", since=began, node=owner, timeout=SETTLE)
            acknowledged = stale.acknowledged - before
            await cluster.restore()
        samples = read(file)
    finally:
        await asyncio.gather(*(asyncio.to_thread(one.finish) for one in (stale, fresh)))
    awake = [s for s in living(samples, frozen_too=False) if s.host == owner and s.ended > woken]
    window = max((span.ended - woken for span in awake), default=0.0)
    answered = answering(samples)
    OUTCOMES.append(
        Outcome(
            name="owner stalls past its lease and wakes, lease-only, no shared storage",
            expected="1, and back while it dies",
            moves=moves([span for span in answered if span.began < woken]),
            overlaps=len(overlaps(answered)),
            longest_outage=0.0,
            owners=told(answered, frozen),
            note=f"after it woke, the old ledger lived {window:.2f} s and acknowledged "
            f"{acknowledged} writes, which only a watchdog or a fence device prevents",
        )
    )
    assert window < AWAKE_AT_MOST
    assert (await cluster.wait_active()).owner == other
