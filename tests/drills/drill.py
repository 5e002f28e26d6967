"""One drill: a question, its prediction from the live state, the fault, and what happened."""

import asyncio
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from holdfast import subjects
from holdfast.clock import monotonic, wall_time
from holdfast.console.demo.processes import run
from holdfast.fence_host.processes import living_members
from holdfast.wire import Begun, GroupRequest, Refused, StatusReply
from tests.support.cluster import HOSTS, RunningCluster, eventually
from tests.support.follower import event

WITNESS = "witness"
GROUPS = ("ledger", "sleeper", "pinned")
WITHIN = 60.0
WATCHED = 3.0
"""Seconds for which nothing more happens before it counts as the end."""
EXTRA = """
[groups.sleeper]
nodes = ["beta", "alpha"]
max_moves = 100

[groups.sleeper.resources.nap]
kind = "process"
command = ["/bin/sleep", "infinity"]
checks = [{ kind = "process" }]
recovery = { attempts = 0 }

[groups.pinned]
nodes = ["alpha"]
max_moves = 100

[groups.pinned.resources.rest]
kind = "process"
command = ["/bin/sleep", "infinity"]
checks = [{ kind = "process" }]
recovery = { attempts = 0 }

[monitor] # the load of this machine must not choose between its hosts
pressure_degraded = 1000
load_per_core_degraded = 10000
memory_available_degraded = 0.001
disk_free_degraded = 0.001
"""
"""A group that prefers beta, and one that only alpha may run. Every failure calls for a move."""


@dataclass(frozen=True)
class Outcome:
    """What was decided and where everything ended; predicted, or happened."""

    decisions: tuple[tuple[Any, ...], ...]
    """Group, rule, kind, source, target; sorted."""
    refusals: tuple[tuple[Any, ...], ...]
    """Group, rule, reason; sorted."""
    groups: tuple[tuple[Any, ...], ...]
    """Group, owner, phase, whether it is served."""


@dataclass(frozen=True)
class Drilled:
    """A drill that was made."""

    question: str
    predicted: Outcome
    happened: Outcome
    predicted_seconds: float | None
    """Until the last group runs again; None: none moved."""
    happened_seconds: float | None


def cluster_of_drills(folder: Path) -> RunningCluster:
    """Three groups on two hosts, and a witness."""
    made = RunningCluster(folder, extra=EXTRA)
    text = made.local.config.read_text().replace("attempts = 50", "attempts = 0")
    # So many losses and moves are this test's doing: no host and no group is to blame.
    for section in ("nodes.alpha", "nodes.beta"):
        text = text.replace(f"[{section}]\n", f"[{section}]\nmax_failures = 100\n")
    made.local.config.write_text(
        text.replace("[groups.ledger]\n", "[groups.ledger]\nmax_moves = 100\n")
    )
    return made


async def drill(cluster: RunningCluster, chance: random.Random) -> Drilled:
    """Ask, do it, compare; the cluster is healthy before and after."""
    if chance.random() < 0.5:
        await cluster.lead_from(chance.choice((*HOSTS, WITNESS)))
        await cluster.healthy()
    question = _question(chance, await _status(cluster))
    code, told = await run(cluster.holdfast("whatif", question, "--json"), timeout=WITHIN)
    assert code in (0, 1), told
    answer = msgspec.json.decode(told.splitlines()[-1])
    predicted = _predicted(answer)
    began = wall_time()
    await _make_true(cluster, question)
    await _ended(cluster, predicted, began)
    happened = await _happened(cluster, began)
    moves = [move["at"] for move in answer["moves"]]
    taken = [seen.data["total"] for seen in cluster.follower.since(began) if seen.name == MOVED]
    await _restore(cluster, question)
    return Drilled(
        question=question,
        predicted=predicted,
        happened=happened,
        predicted_seconds=max(moves, default=None),
        happened_seconds=max(taken, default=None),
    )


MOVED = "move_completed"


def _question(chance: random.Random, status: StatusReply) -> str:
    group = chance.choice(status.groups)
    other = next(host for host in HOSTS if host != group.owner)
    host = chance.choice(HOSTS)
    return chance.choice(
        (
            f"node {host} lost",
            f"node {host} lost",
            f"network partition {host}",
            f"witness {WITNESS} lost",
            f"group {group.group} fails",
            f"group {group.group} fails",
            f"switchover {group.group} to {other}",
            f"switchover {group.group}",
            f"stop {group.group}",
        )
    )


async def _make_true(cluster: RunningCluster, question: str) -> None:
    match question.split():
        case ["node" | "witness", place, "lost"]:
            await cluster.local.place(place).kill()
        case ["network", "partition", host]:
            # What the others hear and what its fence device says is the same of a frozen host.
            session = int(cluster.local.place(host).record()["session"])
            for process in living_members(session):
                os.kill(process.pid, signal.SIGSTOP)
        case ["group", group, "fails"]:
            os.kill(_workload(cluster, group), signal.SIGKILL)
        case ["switchover", group, "to", target]:
            await _ask(cluster, "switchover", group, target)
        case ["switchover" | "stop" as action, group]:
            await _ask(cluster, action, group)
        case _:
            raise AssertionError(question)


def _workload(cluster: RunningCluster, group: str) -> int:
    """The process of a group's only process, as its latest start says."""
    started = event("resource_started", group=group)
    instances = [seen.data["instance"] for seen in cluster.follower.seen if started(seen)]
    return int([one for one in instances if not one.startswith("epoch")][-1].split(":")[0])


async def _ask(
    cluster: RunningCluster, action: Any, group: str, target: str | None = None
) -> Begun | Refused:
    request = GroupRequest(action=action, group=group, target=target, operator="drill")
    reply: Begun | Refused = await cluster.operator.request(
        subjects.admin("decider"), request, Begun | Refused, timeout=5.0
    )
    return reply


def _predicted(answer: dict[str, Any]) -> Outcome:
    return Outcome(
        decisions=_sorted(answer["decisions"], "group", "rule", "kind", "source", "target"),
        refusals=_sorted(answer["refusals"], "group", "rule", "reason"),
        groups=_sorted(answer["groups"], "group", "owner", "phase", "served"),
    )


async def _happened(cluster: RunningCluster, began: str) -> Outcome:
    seen = cluster.follower.since(began)
    made = [one.data for one in seen if one.name == "decision_made"]
    refused = [one.data for one in seen if one.name == "decision_refused"]
    return Outcome(
        decisions=_sorted(made, "group", "rule", "kind", "source", "target"),
        refusals=_sorted(refused, "group", "rule", "reason"),
        groups=_now(await _status(cluster)),
    )


def _now(status: StatusReply) -> tuple[tuple[Any, ...], ...]:
    return tuple(sorted((g.group, g.owner, g.phase, g.reported == "active") for g in status.groups))


def _sorted(values: list[dict[str, Any]], *names: str) -> tuple[tuple[Any, ...], ...]:
    return tuple(sorted((tuple(one[name] for name in names) for one in values), key=str))


async def _status(cluster: RunningCluster) -> StatusReply:
    return await cluster.status_where(lambda status: True, "a leader")


async def _ended(cluster: RunningCluster, predicted: Outcome, began: str) -> None:
    """It is as predicted and stays so, or WITHIN seconds have passed."""
    deadline, since = monotonic() + WITHIN, None
    while monotonic() < deadline:
        outcome = await _happened(cluster, began)
        if outcome != predicted:
            since = None
        elif since is None:
            since = monotonic()
        elif monotonic() - since >= WATCHED:
            return
        await asyncio.sleep(0.2)


async def _restore(cluster: RunningCluster, question: str) -> None:
    """Everything runs again; what lies where it fell is picked up."""
    for name, place in cluster.local.places.items():
        if question == f"network partition {name}" and await place.is_on():
            await place.kill()  # nobody had to switch it off, so it is frozen
        if not await place.is_on():
            await place.start()
    picked_up: set[str] = set()

    async def well() -> bool:
        for group in (await _status(cluster)).groups:
            if group.phase == "held" and group.reason.startswith("an operator"):
                await _ask(cluster, "start", group.group)
            elif group.reported == "failed" and group.group not in picked_up:
                picked_up.add(group.group)
                await _ask(cluster, "stop", group.group)
        now = (await _status(cluster)).groups
        return all(group.phase == group.reported == "active" for group in now)

    await eventually(well, f"every group runs again after: {question}", timeout=WITHIN)
    await cluster.healthy()
