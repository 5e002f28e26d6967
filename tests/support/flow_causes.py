"""What sets each of the flows off, and in which cluster."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.clock import monotonic, wall_time
from holdfast.console.demo.failure import DemoFailed
from holdfast.console.demo.processes import run
from holdfast.timing import PROFILES
from tests.support.cluster import GROUP, HOSTS
from tests.support.flow_cluster import FlowCluster
from tests.support.follower import event
from tests.support.kills_in_flows import ENDED_WITHIN
from tests.support.waiting import gone, until

TTL = PROFILES["standard"].ttl
COMMAND_WITHIN = 30.0
FAILBACK_AFTER = 2.0
AGAIN = 0.5
_MAINTENANCE = ("maintenance", "on", "--for", "1h", "--reason", "test")


def returning(folder: Path) -> FlowCluster:
    """One whose group moves back by itself."""
    keys = f'failback = "automatic"\nfailback_after = {FAILBACK_AFTER}\n'
    return FlowCluster(folder, keys=keys)


def unfenced(folder: Path) -> FlowCluster:
    """One whose fence devices prove nothing, so that a boot may take its time."""
    return FlowCluster(folder, fenced=False)


async def runs_out(cluster: FlowCluster, source: str, target: str) -> None:
    """Most voters stand still until the owner has stopped itself."""
    pid = await cluster.workload()
    with _frozen(cluster, "witness", target):
        await until(lambda: gone(pid), within=2 * TTL, what="the owner stops itself")


@contextmanager
def _frozen(cluster: FlowCluster, *places: str) -> Iterator[None]:
    pids = [cluster.send(place, "failover_decider", signal.SIGSTOP) for place in places]
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def other_host_takes_nothing(cluster: FlowCluster) -> None:
    """So that it is started again where it was."""
    owner = await cluster.owner()
    other = next(host for host in HOSTS if host != owner)
    status = await cluster.status_where(lambda status: True, "a status")
    if not any(mark.name == other for mark in status.marks):
        await _command(cluster, *_MAINTENANCE, "--node", other)


async def on_its_second_host(cluster: FlowCluster) -> None:
    """So that it prefers the other one, where it is to be started again."""
    if await cluster.owner() != HOSTS[1]:
        await _command(cluster, "switchover", GROUP, "--to", HOSTS[1])
    await cluster.wait_active(on=HOSTS[1])


async def kept_on_its_second_host(cluster: FlowCluster) -> None:
    """In maintenance, or it would move back."""
    await _command(cluster, *_MAINTENANCE, "--group", GROUP)
    await on_its_second_host(cluster)


async def may_move_back(cluster: FlowCluster, source: str, target: str) -> None:
    """The maintenance ends, and nothing keeps it any more."""
    await _command(cluster, "maintenance", "off", "--group", GROUP)


async def cannot_start_there(cluster: FlowCluster, source: str, target: str) -> None:
    """It is to move to a host on which it cannot start."""
    cluster.broken(target).touch()
    await _command(cluster, "switchover", GROUP, "--to", target)


async def cannot_stop(cluster: FlowCluster, source: str, target: str) -> None:
    """It is to move from where it cannot be stopped; that host is switched off, and back on.

    What it had no time to publish is heard then.
    """
    cluster.stuck(source).touch()
    await _command(cluster, "switchover", GROUP, "--to", target)
    await cluster.wait_active(timeout=ENDED_WITHIN)
    cluster.stuck(source).unlink()
    if not await cluster.local.place(source).is_on():
        await cluster.local.place(source).start()


async def reboots(cluster: FlowCluster, source: str, target: str) -> None:
    """It is killed, and boots once it is suspected and its fence device has been asked in vain,
    before its silence has led to more.

    How fast a machine boots is no part of this: one may be back before anybody misses it.
    """
    began = wall_time()
    await cluster.local.place(source).kill()
    asked = event("fence_finished", action="status", outcome="failed")
    await cluster.seen_where(asked, what="to be asked for", since=began, timeout=ENDED_WITHIN)
    await cluster.local.place(source).start()


async def reboots_and_cannot_tell(cluster: FlowCluster, source: str, target: str) -> None:
    """Its new hands cannot tell that the group is stopped before they are ordered to stop it."""
    cluster.slow(source).touch()
    began = wall_time()
    await reboots(cluster, source, target)
    stopping = event("ownership_changed", phase="stopping", owner=source)
    await cluster.seen_where(stopping, what="to be stopped", since=began, timeout=ENDED_WITHIN)
    cluster.slow(source).unlink()


async def operator_vouches(cluster: FlowCluster, source: str, target: str) -> None:
    """Nothing proves that it is off; the operator says so, again if nobody who heard it is left."""
    began = wall_time()
    await cluster.local.place(source).kill()
    refused = event("decision_refused", rule="fence_unproven")
    await cluster.seen_where(refused, what="unproven", since=began, timeout=ENDED_WITHIN)
    deadline = monotonic() + ENDED_WITHIN
    while (await cluster.group()).owner == source:
        assert monotonic() < deadline, "the word has had no effect"
        await _command(cluster, "fence", "confirm", source)
        await asyncio.sleep(AGAIN)


async def _command(cluster: FlowCluster, *words: str) -> None:
    """What the command says of the end is not relied on: whom it asked may be the one killed."""
    with contextlib.suppress(DemoFailed):
        await run(cluster.holdfast(*words), timeout=COMMAND_WITHIN)
