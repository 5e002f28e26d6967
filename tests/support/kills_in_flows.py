"""One process is killed at a step of a flow: an incident that ends with the group running again.

A step is what an event says, in words (`says`). A flow lists its steps; that the list is complete
is checked by a run in which nobody is killed.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from tests.support.cluster import GROUP, HOSTS, SETTLE
from tests.support.flow_cluster import FlowCluster, Made
from tests.support.follower import Seen
from tests.support.kills import ANSWERS_WITHIN, STEP_WITHIN, WRITES
from tests.support.waiting import gone, until

ENDED_WITHIN = 90.0
SPOOLED_WITHIN = 10.0
DRIVERS = ("leader", "recovery")
VICTIMS = (*DRIVERS, "monitor", "nats-server")
"""The leading decider; the others are those of the host at which the flow is at that step."""

_WORDS = ("probe", "state", "rule", "resource", "action", "outcome", "step", "phase", "proof")
_PROBES = {"process", "http", "pulse", "lease"}
"""Those whose signals are steps. Any other tells of this machine's load."""
_ASIDE = {"notification_sent", "notification_failed", "service_started", "service_stopped"}


@dataclass(frozen=True)
class At:
    """Where a flow is at a step, `source` or `target`, and who is killed then."""

    place: str
    victims: tuple[str, ...] = VICTIMS


Steps = dict[str, At]


def at(place: str, *steps: str, victims: tuple[str, ...] = VICTIMS) -> Steps:
    """Steps at one host: `source` or `target` is the last word of each that has a host."""
    return {step.format(place): At(place, victims) for step in steps}


@dataclass(frozen=True)
class Flow:
    """From what sets it off to the group running again, on `source` or `target`."""

    steps: Steps
    """In the order of their usual appearance."""
    begin: Callable[[FlowCluster, str, str], Awaitable[None]]
    """Sets it off at `source`; returns when nothing more has to be done to it from outside."""
    prepare: Callable[[FlowCluster], Awaitable[None]] | None = None
    """Brings the group to where the flow begins."""
    made: Made = FlowCluster
    leader: str = "witness"
    beside: frozenset[str] = frozenset()
    """Further events, which depend on who is faster, or come at the same moment as a step."""
    unstored: frozenset[str] = frozenset()
    """Steps at which the leader may not have stored yet what it was asked for once."""

    def cases(self) -> Iterator[tuple[str, str]]:
        """Every step with every victim."""
        for step, where in self.steps.items():
            for victim in where.victims:
                yield step, victim


def says(seen: Seen, source: str) -> str:
    """An event as a step: its name, what tells it from others of that name, and at which host."""
    words = [seen.name, *(str(seen.data[key]) for key in _WORDS if seen.data.get(key))]
    node = seen.data.get("node") or seen.data.get("owner")
    if node in HOSTS:
        words.append("source" if node == source else "target")
    return "-".join(word for word in words if " " not in word)


async def unkilled(flow: Flow, cluster: FlowCluster) -> set[str]:
    """The steps that the flow has when nobody is killed."""
    source, target = await _prepared(flow, cluster)
    began = wall_time()
    await flow.begin(cluster, source, target)
    await cluster.seen("move_completed", since=began, timeout=ENDED_WITHIN)
    await cluster.wait_active(timeout=ENDED_WITHIN)
    ended = wall_time()
    await _repaired(cluster)

    def steps() -> set[str]:
        seen = [one for one in cluster.follower.since(began) if one.envelope.time <= ended]
        said = {says(one, source) for one in seen if _is_step(one)}
        return said - (flow.beside - flow.steps.keys())

    # What a host had not published when it was switched off comes when it is back.
    with contextlib.suppress(AssertionError):
        await until(lambda: steps() >= flow.steps.keys(), within=SPOOLED_WITHIN)
    return steps()


async def killed_in(flow: Flow, cluster: FlowCluster, step: str, victim: str) -> None:
    """Set the flow off, kill the victim at the step, and see the end of it."""
    source, target = await _prepared(flow, cluster)
    before = (await cluster.group()).epoch
    async with cluster.observed() as ledger:
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        began = wall_time()
        going = asyncio.ensure_future(flow.begin(cluster, source, target))
        try:
            await cluster.seen_where(
                lambda seen: says(seen, source) == step,
                what=step,
                since=began,
                timeout=STEP_WITHIN,
            )
            place, service = {"source": source, "target": target}[flow.steps[step].place], victim
            if victim == "leader":
                place, service = _leader(cluster), "failover_decider"
            pid = await _kill(cluster, place, service)
        finally:
            await going
        if victim != "leader" or step not in flow.unstored:
            await cluster.seen("move_completed", since=began, timeout=ENDED_WITHIN)
        await cluster.wait_active(timeout=ENDED_WITHIN)
        assert await asyncio.to_thread(ledger.wait_acknowledged, WRITES, ANSWERS_WITHIN)
        await _repaired(cluster)
        await cluster.restarted(place, service, pid)
        assert (await cluster.group()).epoch >= before
    cluster.assert_done_once()


async def _prepared(flow: Flow, cluster: FlowCluster) -> tuple[str, str]:
    if (await cluster.group()).phase == "held":  # by a case that failed
        await run(cluster.holdfast("start", GROUP), timeout=ENDED_WITHIN)
    if flow.prepare is not None:
        await flow.prepare(cluster)
    source = await cluster.owner()
    target = next(host for host in HOSTS if host != source)
    await cluster.lead_from(source if flow.leader == "source" else flow.leader)
    await cluster.keep_streams_off(source)
    return source, target


async def _kill(cluster: FlowCluster, place: str, service: str) -> int:
    """As soon as it runs; a host that boots may be about to start it. Returns its pid."""
    services = cluster.local.place(place).services

    def runs() -> bool:
        pid = services()[service].pid
        return pid != 0 and not gone(pid)

    await until(runs, within=SETTLE, what=f"{service} runs on {place}")
    return cluster.send(place, service, signal.SIGKILL)


async def _repaired(cluster: FlowCluster) -> None:
    """What was broken is whole, and what is off is switched on."""
    for host in HOSTS:
        for cause in (cluster.broken, cluster.stuck, cluster.slow):
            cause(host).unlink(missing_ok=True)
        if not await cluster.local.place(host).is_on():
            await cluster.local.place(host).start()
    await cluster.healthy()


def _is_step(seen: Seen) -> bool:
    """Whether an event belongs to the flow, and not to what goes on beside it."""
    if seen.name == "health_signal":
        return seen.data["probe"] in _PROBES
    return seen.name not in _ASIDE


def _leader(cluster: FlowCluster) -> str:
    """Who was elected last."""
    elected = [seen.data for seen in cluster.follower.seen if seen.name == "leader_elected"]
    return str(max(elected, key=lambda data: int(data["term"]))["leader"])
