"""The monitor's shell: probes in, events and pulses out, and recovery's word on what runs here."""

import asyncio
import logging
from collections import deque

from holdfast import clock, subjects
from holdfast.errors import HoldfastError
from holdfast.events import Draft
from holdfast.events.fields import resource_entity
from holdfast.ids import uuid7
from holdfast.monitor import core
from holdfast.monitor.crew import Crew
from holdfast.monitor.observation import Observation
from holdfast.monitor.probes import host_probes, resource_probes
from holdfast.monitor.probes.paths import PathsProbe
from holdfast.monitor.probes.peers import PeersProbe
from holdfast.service import Runtime
from holdfast.wire import Acknowledged, MonitorPulse, Pulse, Watch, WatchedResource

MAX_UNRECORDED = 1024
"""Events kept in memory while the disk takes none; beyond, the oldest is given up, and logged."""
MIN_PULSE_GAP = 0.02
"""Seconds between pulses: changes that come together travel together."""
_log = logging.getLogger("holdfast.monitor")


class NotANode(HoldfastError):
    """The monitor was started at a place that is no host."""


async def main(rt: Runtime) -> None:
    """Observe this node until told to stop."""
    if rt.place not in rt.cluster.nodes:
        raise NotANode(
            f"{rt.place} is not one of the nodes ({', '.join(rt.cluster.nodes)})",
            place="--place",
            cure="run the monitor on nodes only; a witness has nothing to observe",
        )
    await Monitor(rt).run()


class Monitor:
    """One node's monitor."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._commands = subjects.command(rt.place, "monitor")
        self._state = core.State(observer=rt.place)
        self._changed = asyncio.Event()
        self._unrecorded: deque[Draft] = deque()
        peers = [node for node in rt.cluster.nodes if node != rt.place]
        self._peers = PeersProbe(rt.place, peers, rt.timing, lambda: rt.bus.connected)
        self._crew = Crew(
            self._report,
            lambda watched: resource_probes(rt.cluster, rt.place, watched),
            self._ended,
            rt.bus.on_fault,
        )

    async def run(self) -> None:
        """Start the probes, listen, and send pulses until stopping."""
        rt = self._rt
        rt.paths.start(rt.spawn)
        self._crew.start([*host_probes(rt.cluster, rt.place, rt.state), self._peers])
        if rt.cluster.networks:
            self._crew.start([PathsProbe(rt.place, rt.paths.up, rt.timing)])
        try:
            await rt.paths.hear(self._heard)
            await rt.bus.serve(self._commands, Watch, self._watch)
            while not rt.stopping.is_set():
                self._record()
                await self._pulse()
                await asyncio.sleep(MIN_PULSE_GAP)
                await self._next_pulse()
        finally:
            await self._crew.dismiss()

    # --- what is seen --------------------------------------------------------------------------

    def _report(self, seen: Observation) -> None:
        self._state, drafts = core.observe(self._state, seen, clock.monotonic(), uuid7)
        for draft in drafts:
            _log.info("%s: %s", draft.entity, seen.reason)
            self._unrecorded.append(draft)
        if drafts:
            self._changed.set()
            self._record()

    def _ended(self, old: WatchedResource, new: WatchedResource | None) -> None:
        entity = resource_entity(old.group, old.resource)
        if new is None:
            self._state = core.forget(self._state, entity)
        else:
            self._state = core.reset(self._state, entity, new.instance)
        self._changed.set()

    def _record(self) -> None:
        """Spool what was signalled, in order. A full disk delays the record, never the pulse."""
        while self._unrecorded:
            try:
                self._rt.outbox.emit(self._unrecorded[0])
            except HoldfastError as error:
                if len(self._unrecorded) > MAX_UNRECORDED:
                    lost = self._unrecorded.popleft()
                    _log.critical("event %s is lost, it cannot be recorded: %s", lost.id, error)
                return
            self._unrecorded.popleft()

    # --- what is said --------------------------------------------------------------------------

    async def _pulse(self) -> None:
        self._changed.clear()
        pulse = MonitorPulse(
            node=self._rt.place,
            boot=self._rt.boot,
            now=clock.monotonic(),
            signals=core.pulse_signals(self._state),
        )
        await self._rt.paths.beat(pulse, within=self._rt.timing.pulse_every)

    async def _next_pulse(self) -> None:
        """Wait until a pulse is due, something changed, or it is time to stop."""
        waiting = [
            asyncio.create_task(self._changed.wait()),
            asyncio.create_task(self._rt.stopping.wait()),
        ]
        try:
            await asyncio.wait(
                waiting,
                timeout=self._rt.timing.pulse_every,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in waiting:
                task.cancel()

    # --- what is heard -------------------------------------------------------------------------

    def _heard(self, pulse: Pulse) -> None:
        if not self._peers.heard(pulse.node) and pulse.node != self._rt.place:
            reason = f"a pulse of {pulse.node}, which is not in this cluster file"
            self._rt.rejects.reject(subjects.PULSES, "forged", reason)

    async def _watch(self, watch: Watch) -> Acknowledged:
        kind, problem = _refusal(watch, self._rt.place, self._rt.boot)
        if problem:
            self._rt.rejects.reject(self._commands, kind, problem)
            return Acknowledged(ok=False, error=problem)
        self._crew.watch(watch.resources)
        return Acknowledged(ok=True)


def _refusal(watch: Watch, node: str, boot: str) -> tuple[str, str]:
    """Why a Watch is not obeyed, as the kind of rejection and its reason; ("", "") if it is."""
    if watch.node != node:
        return "stale", f"meant for node {watch.node}, this is {node}"
    if watch.boot != boot:
        return "stale", f"meant for boot {watch.boot} of {node}, this is boot {boot}"
    keys = [(resource.group, resource.resource) for resource in watch.resources]
    if len(set(keys)) != len(keys):
        return "malformed", "it names a resource twice"
    for resource in watch.resources:
        if resource.pid and not resource.instance.startswith(f"{resource.pid}:"):
            return "malformed", f"instance {resource.instance} is not one of pid {resource.pid}"
    return "", ""
