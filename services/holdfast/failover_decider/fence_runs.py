"""Runs of fence agents as the shell holds them: one per target, and none that does not stand."""

import asyncio
import logging
from collections.abc import Callable

from holdfast import clock
from holdfast.config import ClusterFile
from holdfast.failover_decider.fence_agent import FenceResult, fence
from holdfast.failover_decider.fencing import stands
from holdfast.failover_decider.messages import FenceDone, RunFence
from holdfast.failover_decider.state import State
from holdfast.fence_agents.check import check_devices

END_WITHIN = 10.0
"""Seconds for a killed agent to be gone."""
_log = logging.getLogger("holdfast.decider")


class FenceRuns:
    """`state` gives the core's newest state, `done` takes the end of each run."""

    def __init__(
        self, cluster: ClusterFile, state: Callable[[], State], done: Callable[[FenceDone], None]
    ) -> None:
        self._cluster, self._state, self._done = cluster, state, done
        self._running: dict[str, tuple[RunFence, asyncio.Task[FenceResult]]] = {}

    async def check_devices(self) -> None:
        """Say at once what would fail in need. It also spares the first fencing the metadata."""
        checked = await check_devices(self._cluster)
        for agent in checked.unchecked:
            _log.error("fence agent %s is not installed here; this place cannot use it", agent)
        for found in checked.problems:
            _log.error("%s: %s; cure: %s", found.key, found.problem, found.cure)

    def end_overtaken(self) -> None:
        """Kill the agents whose order has expired, or was overtaken by a new boot or leader."""
        for run, task in self._running.values():
            if not self._stands(run):
                task.cancel()

    async def carry_out(self, run: RunFence) -> None:
        """One run, to its end. A run before it against the same node is ended first."""
        before = self._running.get(run.node)
        config = self._cluster.nodes[run.node]
        task = asyncio.create_task(
            self._one(run, before[1] if before else None), name=f"agents {run.node}"
        )
        self._running[run.node] = (run, task)
        began = clock.monotonic()
        try:
            await asyncio.wait([task])
        finally:
            if not task.done():  # it is we who are cancelled: the service ends
                task.cancel()
                await asyncio.wait([task], timeout=END_WITHIN)
        if self._running[run.node] != (run, task):
            return  # a later run has taken its place, and the core waits for that one
        del self._running[run.node]
        agents = ", ".join(device.agent for device in config.fence)
        over = FenceResult("failed", agents, "the order was over before its end")
        result = over if task.cancelled() else task.result()
        self._done(
            FenceDone(
                node=run.node,
                boot=run.boot,
                action=run.action,
                outcome=result.outcome,
                agent=result.agent[:200],
                detail=result.detail,
                took=clock.monotonic() - began,
                devices=result.devices,
            )
        )

    async def _one(self, run: RunFence, before: asyncio.Task[FenceResult] | None) -> FenceResult:
        if before is not None:
            before.cancel()
            await asyncio.wait([before], timeout=END_WITHIN)
        config = self._cluster.nodes[run.node]
        return await fence(run.node, run.boot, config, run.action, lambda: self._stands(run))

    def _stands(self, run: RunFence) -> bool:
        return stands(self._state(), run, clock.monotonic())
