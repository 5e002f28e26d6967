"""All replicated volumes of which this node has a copy."""

from collections.abc import Callable, Coroutine
from typing import Any

from holdfast import clock, subjects
from holdfast.config.volume_check import replicated
from holdfast.service import Runtime
from holdfast.storage_replication.memory import Memory
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.storage_replication.replicated.measures import measure
from holdfast.storage_replication.replicated.place import place_of
from holdfast.storage_replication.replicated.pulse import pulse
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.storage_replication.replicated.requests import carry_out
from holdfast.volumes import VolumeRecord, VolumeStore
from holdfast.wire.volumes import NodeLease, VolumeAnswer, VolumePulse, VolumeRequest


class Fleet:
    """`changed` is called when the pulse has news."""

    def __init__(self, rt: Runtime, memory: Memory, changed: Callable[[], None]) -> None:
        self._rt = rt
        self.reports = Reports(rt.place, rt.outbox.emit, changed)
        register = Register(VolumeStore(rt.bus), self._recorded)
        self._register = register
        self.agents = {
            name: Agent(
                place_of(rt.cluster, name, config, rt.place, rt.state, rt.secrets),
                rt.boot,
                register,
                memory,
                self.reports,
            )
            for name, config in replicated(rt.cluster).items()
            if rt.place in config.members
        }
        for agent in self.agents.values():
            agent.changed = changed
        if rt.telemetry is not None:
            measure(rt.telemetry, self.agents.values())

    async def start(self, spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """Follow the records, keep data paths running, take requests. Nothing without volumes."""
        if not self.agents:
            return
        spawn(self._register.run(), "records")
        for name, agent in self.agents.items():
            spawn(agent.run(), f"volume {name}")
        subject = subjects.storage_admin(self._rt.place)
        await self._rt.bus.serve(subject, VolumeRequest, self._asked)

    def lease(self, lease: NodeLease) -> None:
        """Recovery renewed the node's lease."""
        if (lease.node, lease.boot) != (self._rt.place, self._rt.boot):
            subject = subjects.command(self._rt.place, "storage_replication")
            self._rt.rejects.reject(subject, "stale", f"a lease of {lease.node}, {lease.boot}")
            return
        for agent in self.agents.values():
            agent.lease(lease)

    def pulses(self) -> list[VolumePulse]:
        """How the volumes stand."""
        now = clock.wall_time()
        return [
            pulse(agent.place, agent.record, agent.paths.state, agent.paths.problem, now)
            for agent in self.agents.values()
        ]

    def _recorded(self, record: VolumeRecord) -> None:
        if record.volume in self.agents:
            self.agents[record.volume].recorded(record)

    async def _asked(self, request: VolumeRequest) -> VolumeAnswer:
        agent = self.agents.get(request.volume)
        if agent is None:
            return VolumeAnswer(
                ok=False, text=f"{self._rt.place} has no copy of a volume {request.volume}"
            )
        return await carry_out(agent, request)
