"""One process is killed at a step of a move that is no failover: the move ends, or is undone."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from holdfast.wire import GroupStatus, StatusReply
from tests.support.cluster import GROUP, HOSTS, RunningCluster
from tests.support.follower import event
from tests.support.kills import ANSWERS_WITHIN, STEP_WITHIN, WRITES, Step

MOVED_WITHIN = 90.0
COMMAND_TIMEOUT = 150.0

STOPPING: dict[str, Step] = {
    "decision_made": lambda *_: event("decision_made"),
    "stopping": lambda source, _: event("ownership_changed", phase="stopping", owner=source),
    "stop_sent": lambda source, _: event("order_sent", node=source, action="stop"),
    "stop_accepted": lambda source, _: event("order_accepted", node=source, action="stop"),
    "resource_stopped": lambda source, _: event("resource_stopped", node=source, resource="web"),
    "volume_released": lambda source, _: event("volume_released", node=source),
    "group_stopped": lambda source, _: event("group_stopped", node=source),
}
STARTING: dict[str, Step] = {
    "starting": lambda _, target: event("ownership_changed", phase="starting", owner=target),
    "start_sent": lambda _, target: event("order_sent", node=target, action="start"),
    "start_accepted": lambda _, target: event("order_accepted", node=target, action="start"),
    "volume_activated": lambda _, target: event("volume_activated", node=target),
    "resource_started": lambda _, target: event("resource_started", node=target, resource="web"),
    "group_started": lambda _, target: event("group_started", node=target),
    "group_verified": lambda _, target: event("group_verified", node=target),
    "active": lambda _, target: event("ownership_changed", phase="active", owner=target),
}
ASKED: dict[str, Step] = {"operator_request": lambda *_: event("operator_request")}
FAILED: dict[str, Step] = {
    "health_signal": lambda source, _: event("health_signal", node=source, probe="process"),
    "recovery_exhausted": lambda source, _: event("recovery_exhausted", node=source),
}

HANDS = ("monitor", "recovery", "storage_replication", "nats-server")
LEADER = [("witness", "failover_decider"), ("witness", "nats-server")]
SOURCE = [("source", service) for service in HANDS]
TARGET = [("target", service) for service in HANDS]
LEADING = [("leading source", "failover_decider"), ("leading target", "failover_decider")]
"""The leader is a host of the move, and its decider is killed."""


@dataclass(frozen=True)
class Move:
    """A move from `source` to `target`, its steps, and who is killed at each of them."""

    steps: dict[str, Step]
    victims: list[tuple[str, str]]
    begin: Callable[[RunningCluster, str], Awaitable[object]]
    """Sets it off, given the target; returns when whoever asked for it has been answered."""
    last: str
    """The event with which it ends well."""
    unstored: frozenset[str] = frozenset()
    """Steps at which the leader may not have stored yet that there is a move."""

    def cases(self) -> Iterator[tuple[str, str, str]]:
        """Every step with every victim."""
        for step in self.steps:
            for where, victim in self.victims:
                yield step, where, victim


async def killed_in(move: Move, cluster: RunningCluster, case: tuple[str, str, str]) -> None:
    """Set the move off, kill the victim at the step, and see the end of it."""
    step, where, victim = case
    source = await cluster.owner()
    target = next(host for host in HOSTS if host != source)
    leads = where.startswith("leading ")
    place = where.removeprefix("leading ")
    place = {"source": source, "target": target}.get(place, place)
    await cluster.lead_from(place if leads else "witness")
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        began = wall_time()
        asking = asyncio.ensure_future(move.begin(cluster, target))
        try:
            await cluster.seen_where(
                move.steps[step](source, target), what=step, since=began, timeout=STEP_WITHIN
            )
            pid = cluster.send(place, victim, signal.SIGKILL)
        finally:
            await asking
        await cluster.restarted(place, victim, pid)
        if victim != "failover_decider" or step not in move.unstored:
            await cluster.seen(move.last, "move_failed", since=began, timeout=MOVED_WITHIN)
        await _runs_again(cluster)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        await cluster.healthy()
        assert (await cluster.group()).epoch >= before


async def _switchover(cluster: RunningCluster, target: str) -> None:
    await _command(cluster, "switchover", GROUP, "--to", target)


async def _stop(cluster: RunningCluster, target: str) -> None:
    await _command(cluster, "stop", GROUP)


async def _start_there(cluster: RunningCluster, target: str) -> None:
    await _command(cluster, "stop", GROUP)
    await cluster.status_where(_at_rest("held"), "stopped by an operator")
    await _command(cluster, "start", GROUP, "--on", target)


async def _fail(cluster: RunningCluster, target: str) -> None:
    os.kill(await cluster.workload(), signal.SIGKILL)


async def _command(cluster: RunningCluster, *words: str) -> None:
    """What the command says of the end is not relied on: whom it asked may be the one killed."""
    await run(cluster.holdfast(*words), timeout=COMMAND_TIMEOUT)


async def _runs_again(cluster: RunningCluster) -> None:
    """Over, whichever way; what was stopped is started again."""
    await cluster.status_where(_at_rest("held", "active"), "stopped or running")
    if (await cluster.group()).phase == "held":
        await _command(cluster, "start", GROUP)
    await cluster.wait_active(timeout=MOVED_WITHIN)


def _at_rest(*phases: str) -> Callable[[StatusReply], bool]:
    def rests(status: StatusReply) -> bool:
        group: GroupStatus = status.groups[0]
        return group.phase in phases

    return rests


# An operator asks once, and is not asked for by anybody else; a group that failed stays failed.
ONLY_ASKED = frozenset({"operator_request", "decision_made"})
SWITCHOVER = Move(
    {**ASKED, **STOPPING, **STARTING},
    [*SOURCE, *TARGET, *LEADER, *LEADING],
    _switchover,
    "move_completed",
    ONLY_ASKED,
)
STOP = Move({**ASKED, **STOPPING}, [*SOURCE, *LEADER, *LEADING], _stop, "group_held", ONLY_ASKED)
START = Move(STARTING, [*TARGET, *LEADER], _start_there, "move_completed")
FOUND_STOPPED = {step: seen for step, seen in STOPPING.items() if step != "resource_stopped"}
RELOCATION = Move(
    {**FAILED, **FOUND_STOPPED, **STARTING}, [*SOURCE, *TARGET, *LEADER], _fail, "move_completed"
)
MOVES = {"switchover": SWITCHOVER, "stop": STOP, "start": START, "relocation": RELOCATION}
