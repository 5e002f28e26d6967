"""The storage service of a host: the real agents of its volumes, over a simulated bus and disk."""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.bus_errors import BusTimeout, BusUnavailable
from holdfast.storage_replication.memory import Memory, Remembered
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.storage_replication.replicated.place import Place as Member
from holdfast.storage_replication.replicated.pulse import pulse
from holdfast.storage_replication.replicated.register import Register
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.storage_replication.replicated.requests import carry_out
from holdfast.volumes import VolumeRecord
from holdfast.wire import Acknowledged, MonitorPulse, VolumeOrder
from holdfast.wire.volumes import NodeLease, VolumeAnswer, VolumeRequest
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.storage.bucket import BucketAt
from tests.simulation.simulator.storage.copies import INSTANCE, Copy
from tests.simulation.simulator.storage.loop import VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World


EVERY = 2.0
"""Fewer pulses than it sends, so that more histories fit in a minute: others tell that it lives."""


class Kept(Memory):
    """`volumes.json` on the host's disk."""

    def __init__(self, service: "StorageService") -> None:
        self._service = service
        raw = service.world.volumes.memories.get(service.place.name)
        self.volumes = msgspec.json.decode(raw, type=dict[str, Remembered]) if raw else {}

    def store(self, volume: str, remembered: Remembered) -> None:
        """Durable when it returns."""
        self.volumes = {**self.volumes, volume: remembered}
        if not self._service.blown():
            kept = msgspec.json.encode(self.volumes)
            self._service.world.volumes.memories[self._service.place.name] = kept


class MemberHere(Member, frozen=True, kw_only=True):
    """A member's place, whose files are simulated."""

    copy: Any

    def instance(self) -> str:
        """As it stands in its file."""
        copy: Copy = self.copy
        return copy.instance

    def make_instance(self) -> str:
        """A new member."""
        copy: Copy = self.copy
        new = copy.host + "-" + str(int(clock.monotonic() * 1e6))
        copy.store.replace(INSTANCE, new.encode())
        return new

    def forget(self) -> None:
        """What an earlier membership left."""
        self.copy.lose(data=False)


class StorageService(Service):
    """One storage_replication process."""

    slot, title = "storage", "storage_replication"

    def __init__(self, world: "World", place: Place) -> None:
        super().__init__(world, place)
        self.loop = VirtualLoop(self, world.volumes.wires)
        self._changed = asyncio.Event()
        self.reports = Reports(
            place.name,
            lambda draft: world.emitted(place, self.slot, draft),
            self._changed.set,
        )
        self._register = Register(
            BucketAt(world.volumes.bucket, self, self.loop),  # type: ignore[arg-type]
            self._recorded,
        )
        self.agents: dict[str, Agent] = {}

    def start(self) -> None:
        """As `Fleet.start` does."""
        self.loop.enter(self._begin)

    def _begin(self) -> None:
        # In a turn of the loop: what stands in for the machine is there only then.
        self.loop.work(self._register.run(), "records")
        memory, place = Kept(self), self.place
        for name, member in self.world.volumes.members_at(place.name).items():
            agent = Agent(member, place.boot, self._register, memory, self.reports)
            agent.changed = self._changed.set
            self.agents[name] = agent
            self.loop.work(agent.run(), f"volume {name}")
        self.loop.work(self._pulses(), "pulses")

    def _recorded(self, record: VolumeRecord) -> None:
        if record.volume in self.agents:
            self.agents[record.volume].recorded(record)

    async def _pulses(self) -> None:
        """At once on a change, and now and then."""
        world, place = self.world, self.place
        while True:
            try:
                async with asyncio.timeout(EVERY * world.timing.pulse_every):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            now = clock.wall_time()
            said = MonitorPulse(
                node=place.name,
                boot=place.boot,
                service="storage_replication",
                now=self.clock(),
                signals=list(self.reports.failing),
                volumes=[
                    pulse(agent.place, agent.record, agent.paths.state, agent.paths.problem, now)
                    for agent in self.agents.values()
                ],
            )
            for voter in world.voters:
                world.network.send(place.name, voter, "decider", "hear", said)

    # --- what reaches it ------------------------------------------------------------------

    def lease(self, lease: NodeLease) -> None:
        """Recovery has renewed it."""
        if lease.boot == self.place.boot:
            for agent in self.agents.values():
                self.loop.enter(agent.lease, lease)

    def order(self, order: VolumeOrder, asker: Service, back: Any) -> None:
        """Activate or release."""
        self.loop.enter(self.loop.work, self._answer(order, asker, back), order.action)

    async def _answer(self, order: VolumeOrder, asker: Service, back: Any) -> None:
        if order.boot != self.place.boot:
            said = Acknowledged(ok=False, error=f"meant for boot {order.boot}")
        else:
            said = await self.agents[order.volume].order(order)
            self.world.volumes.invariants.on_answered(self, order, said)
        self.world.network.reply(self.place.name, asker, back, said)

    def ask(self, request: VolumeRequest, back: Any) -> None:
        """An operator's request."""
        self.loop.enter(self.loop.work, self._requested(request, back), "request")

    async def _requested(self, request: VolumeRequest, back: Any) -> None:
        answer: VolumeAnswer = await carry_out(self.agents[request.volume], request)
        back(answer)


class LocalBus:
    """The bus between recovery and its storage service, for `VolumeKind`."""

    def __init__(self, asker: Service, loop: VirtualLoop) -> None:
        self._asker, self._loop = asker, loop

    async def request(
        self, subject: str, order: VolumeOrder, kind: object, *, timeout: float
    ) -> Acknowledged:
        """As `Bus.request`."""
        place, world = self._asker.place, self._asker.world
        if place.service("storage") is None:
            raise BusUnavailable("nobody serves it", place=subject, cure="start it")
        answer: asyncio.Future[Acknowledged] = self._loop.create_future()

        def back(said: Acknowledged) -> None:
            self._loop.enter(settle, said)

        def settle(said: Acknowledged) -> None:
            if not answer.done():
                answer.set_result(said)

        world.network.send(place.name, place.name, "storage", "order", order, self._asker, back)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise BusTimeout("no answer", place=subject, cure="ask again") from None
