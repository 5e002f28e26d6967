"""The service: orders for volumes, probes of the active ones, pulses while one fails."""

import asyncio
import contextlib

from holdfast import clock, subjects
from holdfast.bus import BusError
from holdfast.config.volumes import DirectoryVolume
from holdfast.errors import HoldfastError
from holdfast.events import EventData
from holdfast.events.fields import volume_entity
from holdfast.service import Runtime
from holdfast.stopping import end
from holdfast.storage_replication.drivers.directory import DirectoryDriver
from holdfast.storage_replication.keeper import Keeper
from holdfast.storage_replication.memory import Memory
from holdfast.storage_replication.replicated.fleet import Fleet
from holdfast.wire import Acknowledged, MonitorPulse, VolumeOrder
from holdfast.wire.volumes import NodeLease


class NotANode(HoldfastError):
    """The service was started at a place that is no host."""


async def main(rt: Runtime) -> None:
    """Serve this node's volumes until told to stop. Active volumes stay active (I10)."""
    if rt.place not in rt.cluster.nodes:
        raise NotANode(
            f"{rt.place} is not one of the nodes ({', '.join(rt.cluster.nodes)})",
            place="--place",
            cure="run storage_replication on nodes only; a witness has no volumes",
        )
    await Storage(rt).run()


class Storage:
    """One node's volumes."""

    def __init__(self, rt: Runtime) -> None:
        """Load the memory. Raises MemoryFailed."""
        self._rt = rt
        self._subject = subjects.command(rt.place, "storage_replication")
        memory = Memory(rt.state)
        self._keepers = {
            name: Keeper(name, config, DirectoryDriver(config.path, rt.place), memory, self._emit)
            for name, config in rt.cluster.volumes.items()
            if isinstance(config, DirectoryVolume)
        }
        self._changed = asyncio.Event()
        self._fleet = Fleet(rt, memory, self._changed.set)
        self._reports = self._fleet.reports

    async def run(self) -> None:
        """Work until stopping."""
        rt = self._rt
        tasks = [
            rt.spawn(self._watch(keeper), f"volume {keeper.volume}")
            for keeper in self._keepers.values()
        ]
        tasks.append(rt.spawn(self._pulses(), "pulses"))
        try:
            await rt.bus.serve(self._subject, VolumeOrder | NodeLease, self._ordered)
            await self._fleet.start(lambda work, name: tasks.append(rt.spawn(work, name)))
            await rt.stopping.wait()
        finally:
            await end(*tasks)

    async def _ordered(self, order: VolumeOrder | NodeLease) -> Acknowledged | None:
        if isinstance(order, NodeLease):
            self._fleet.lease(order)
            return None
        kind, problem = self._misdirected(order)
        if problem:
            self._rt.rejects.reject(self._subject, kind, problem)
            return Acknowledged(ok=False, error=problem)
        try:
            if order.volume in self._fleet.agents:
                return await self._fleet.agents[order.volume].order(order)
            return await self._keepers[order.volume].order(order)
        except HoldfastError as error:
            return Acknowledged(ok=False, error=f"it cannot be recorded: {error.problem}")

    def _misdirected(self, order: VolumeOrder) -> tuple[str, str]:
        if order.node != self._rt.place:
            return "forged", f"meant for node {order.node}, this is {self._rt.place}"
        if order.boot != self._rt.boot:
            return "stale", f"meant for boot {order.boot}, this is boot {self._rt.boot}"
        if order.volume not in {*self._keepers, *self._fleet.agents}:
            return "forged", f"the cluster file has no volume {order.volume} for this node"
        return "", ""

    async def _watch(self, keeper: Keeper) -> None:
        """Probe the volume for as long as it is active in this boot."""
        while True:
            remembered = keeper.remembered
            if remembered.active and remembered.mark.boot == self._rt.boot:
                problem = await keeper.probe()
                if keeper.remembered == remembered:
                    self._reports.own(keeper.volume, remembered.mark.epoch, problem)
            else:
                self._reports.forget(keeper.volume)
            await asyncio.sleep(keeper.config.probe_interval)

    async def _pulses(self) -> None:
        """At once on a change, and every `pulse_every` while there is something to say."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    self._rt.timing.pulse_every
                    if self._reports.failing or self._fleet.agents
                    else None
                ):
                    await self._changed.wait()
            self._changed.clear()
            pulse = MonitorPulse(
                node=self._rt.place,
                boot=self._rt.boot,
                service="storage_replication",
                now=clock.monotonic(),
                signals=list(self._reports.failing),
                volumes=self._fleet.pulses(),
            )
            with contextlib.suppress(BusError):
                await self._rt.bus.publish(subjects.pulse(self._rt.place), pulse)

    def _emit(self, data: EventData, order: VolumeOrder) -> str:
        return self._rt.emit(
            data,
            entity=volume_entity(order.volume),
            incident=order.incident or None,
            cause=order.cause or None,
        )
