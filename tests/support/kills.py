"""One process more is killed at a step of a failover or of a local recovery, which completes."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable

from holdfast.clock import wall_time
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.follower import Wanted, event

FAILOVER_WITHIN = 60.0
STEP_WITHIN = 45.0
ANSWERS_WITHIN = 30.0
WRITES = 10

Step = Callable[[str, str], Wanted]
"""The event of a step, given the host that is lost and the one that survives."""

FAILOVER_STEPS: dict[str, Step] = {
    "silence": lambda lost, _: event("health_signal", probe="pulse", node=lost),
    "node_suspected": lambda lost, _: event("node_suspected", node=lost),
    "fence_started": lambda lost, _: event("fence_started", node=lost),
    "fence_finished": lambda lost, _: event("fence_finished", node=lost),
    "leader_elected": lambda *_: event("leader_elected"),
    "decision_made": lambda lost, _: event("decision_made", source=lost),
    "fencing": lambda lost, _: event("ownership_changed", phase="fencing", owner=lost),
    "lease_revoked": lambda lost, _: event("lease_revoked", node=lost),
    "starting": lambda _, left: event("ownership_changed", phase="starting", owner=left),
    "order_sent": lambda _, left: event("order_sent", node=left, action="start"),
    "order_accepted": lambda _, left: event("order_accepted", node=left, action="start"),
    "volume_activated": lambda _, left: event("volume_activated", node=left),
    "resource_started": lambda _, left: event("resource_started", node=left, resource="web"),
    "group_started": lambda _, left: event("group_started", node=left),
    "group_verified": lambda _, left: event("group_verified", node=left),
    "active": lambda _, left: event("ownership_changed", phase="active", owner=left),
}
"""In order of their usual appearance."""

FAILOVER_VICTIMS = [
    ("survivor", "monitor"),
    ("survivor", "recovery"),
    ("survivor", "storage_replication"),
    ("survivor", "failover_decider"),
    ("survivor", "nats-server"),
    ("witness", "failover_decider"),
    ("witness", "nats-server"),
    ("witness", "notifier"),
]

RECOVERY_STEPS = {
    "health_signal": event("health_signal", probe="process", state="failed"),
    "recovery_started": event("recovery_started", resource="web"),
    "resource_started": event("resource_started", resource="web"),
    "recovery_succeeded": event("recovery_succeeded", resource="web"),
}
RECOVERY_VICTIMS = ["monitor", "recovery", "failover_decider", "nats-server"]


async def fail_over(cluster: RunningCluster, step: str, where: str, victim: str) -> None:
    """The owner, which leads everything, loses power; the victim dies at the step."""
    lost = await cluster.owner()
    left = next(host for host in HOSTS if host != lost)
    place = left if where == "survivor" else where
    await cluster.lead_from(lost)
    await cluster.keep_streams_off(lost)
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        began = wall_time()
        power_off = asyncio.create_task(cluster.local.place(lost).kill())
        await cluster.seen_where(
            FAILOVER_STEPS[step](lost, left), what=step, since=began, timeout=STEP_WITHIN
        )
        pid = cluster.send(place, victim, signal.SIGKILL)
        await power_off
        epoch = (await cluster.wait_active(on=left, timeout=FAILOVER_WITHIN)).epoch
        assert epoch > before
        await cluster.seen("group_verified", since=began, node=left, epoch=epoch)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        await cluster.restarted(place, victim, pid)
        await cluster.local.place(lost).start()
        await cluster.healthy()
        assert await cluster.owner() == left


async def recover_locally(cluster: RunningCluster, step: str, victim: str) -> None:
    """The ledger dies; the victim, on the same host, dies at the step of its recovery."""
    owner = await cluster.owner()
    before = (await cluster.group()).epoch
    old = await cluster.workload()
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        began = wall_time()
        os.kill(old, signal.SIGKILL)
        await cluster.seen_where(RECOVERY_STEPS[step], what=step, since=began, timeout=STEP_WITHIN)
        pid = cluster.send(owner, victim, signal.SIGKILL)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, FAILOVER_WITHIN)
        await cluster.restarted(owner, victim, pid)
        await cluster.healthy()
        group = await cluster.wait_active(on=owner)
        assert group.epoch == before, "a local recovery moves nothing"


def assert_one_owner_at_a_time(cluster: RunningCluster) -> None:
    """What the whole record says: epochs only rose, nothing was done twice, and no ledger found
    its journal in use.
    """
    changes = {
        seen.data["revision"]: seen.data["epoch"]
        for seen in cluster.follower.seen
        if seen.name == "ownership_changed"
    }
    epochs = [changes[revision] for revision in sorted(changes)]
    assert epochs == sorted(epochs)
    started: dict[int, str] = {}
    for seen in cluster.follower.seen:
        if seen.name == "resource_started":
            epoch, node = seen.data["epoch"], seen.data["node"]
            assert started.setdefault(epoch, node) == node, f"epoch {epoch} on two nodes"
    twice = [*_started_twice(cluster), *_stopped_twice(cluster), *_fenced_twice(cluster)]
    assert not twice, twice
    for log in cluster.local.run_dir.glob("*/recovery/log/*.log"):
        assert "another ledger holds" not in log.read_text(), f"two ledgers at once: {log}"


def _stopped_twice(cluster: RunningCluster) -> list[str]:
    """Stops of a resource by one run of recovery, with no start of it in between.

    A later run may stop again what the one before did not live to report.
    """
    stopped: set[tuple[str, str]] = set()
    twice: list[str] = []
    for seen in cluster.follower.seen:
        by, name = seen.service, seen.data.get("resource", "")
        if seen.name == "service_started":
            stopped = {key for key in stopped if key[0] != by}
        elif seen.name in ("resource_started", "recovery_started"):
            stopped.discard((by, name))
        elif seen.name == "resource_stopped":
            if (by, name) in stopped:
                twice.append(f"{name} stopped by {by} at epoch {seen.data['epoch']}")
            stopped.add((by, name))
    return twice


def _fenced_twice(cluster: RunningCluster) -> list[str]:
    """Orders to switch a boot off by a run of a decider that has seen it off.

    Another leader may order it again: what the one before saw is gone with it.
    """
    off: set[tuple[str, str]] = set()
    twice: list[str] = []
    for seen in cluster.follower.seen:
        key = (seen.service, str(seen.data.get("boot", "")))
        if seen.name == "service_started":
            off = {one for one in off if one[0] != seen.service}
        elif seen.name == "fence_finished" and seen.data["outcome"] == "off":
            off.add(key)
        elif seen.name == "fence_started" and seen.data["action"] == "off" and key in off:
            twice.append(f"{seen.data['node']} switched off by {seen.service}")
    return twice


def _started_twice(cluster: RunningCluster) -> list[str]:
    """Starts of a resource at an epoch beyond the first that nothing had undone before."""
    starts: Counter[tuple[int, str]] = Counter()
    for seen in cluster.follower.seen:
        key = (seen.data.get("epoch", 0), seen.data.get("resource", ""))
        if seen.name == "resource_started" and not seen.data["adopted"]:
            starts[key] += 1
        elif seen.name in ("recovery_started", "resource_stopped", "resource_failed"):
            starts[key] -= 1
    return [f"{name} at epoch {epoch}" for (epoch, name), number in starts.items() if number > 1]
