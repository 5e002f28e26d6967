"""The stream of events and the durable consumer that all notifiers share."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors

from holdfast.events import Envelope
from holdfast.events.envelope import encode_envelope
from holdfast.notifier.intake import ACK_WAIT, MAX_ACK_PENDING
from tests.simulation.simulator.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.simulator.notifying.scene import NotifierService, Scene

LOOK_EVERY = 0.5
LOST = 0.1
"""The share of acknowledgements that do not arrive while there is trouble."""


@dataclass(eq=False)
class Handed:
    """An event that a notifier was given."""

    number: int
    until: float
    """True time after which it is given to somebody again."""
    times: int = 1


class Record:
    """What the server knows."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self._made = False
        self.events: list[Envelope] = []
        self._next = 0
        self._pending: dict[int, Handed] = {}
        self.acknowledged: set[str] = set()

    def append(self, envelope: Envelope) -> None:
        """An event is stored."""
        self.events.append(envelope)

    @property
    def told(self) -> bool:
        """Whether nothing is left to be handed out, or acknowledged."""
        return self._next == len(self.events) and not self._pending

    def take(self, batch: int) -> list[int]:
        """What a notifier gets now: first what another one did not acknowledge in time."""
        now, found = self._scene.engine.now, list[int]()
        for handed in self._pending.values():
            if handed.until < now and len(found) < batch:
                handed.until, handed.times = now + ACK_WAIT, handed.times + 1
                self._scene.seen["event given again"] += 1
                found.append(handed.number)
        while self._next < len(self.events) and len(found) < batch:
            if len(self._pending) >= MAX_ACK_PENDING:
                break
            self._pending[self._next] = Handed(self._next, now + ACK_WAIT)
            found.append(self._next)
            self._next += 1
        return found

    def acknowledge(self, number: int) -> None:
        """It is done with, for everybody."""
        if self._pending.pop(number, None) is not None:
            self.acknowledged.add(self.events[number].id)

    def in_progress(self, number: int) -> None:
        """Somebody still works on it."""
        if number in self._pending:
            self._pending[number].until = self._scene.engine.now + ACK_WAIT

    def make(self) -> None:
        """The consumer."""
        if self._made:
            raise Violation("notifier", "its consumer is made a second time")
        self._made = True

    @property
    def made(self) -> bool:
        """Whether there is a consumer."""
        return self._made


class Message:
    """`nats.aio.msg.Msg`, as far as it is used."""

    def __init__(self, scene: "Scene", notifier: "NotifierService", number: int) -> None:
        self._scene, self._notifier, self._number = scene, notifier, number
        envelope = scene.record.events[number]
        self.data = encode_envelope(envelope)
        self.subject = f"ha.events.{envelope.type.split('.')[1]}"

    async def ack(self) -> None:
        """Perhaps it does not arrive."""
        self._require_bus()
        if self._scene.calm or self._scene.chance.random() >= LOST:
            later = 0.001 + 0.01 * self._scene.chance.random()
            self._scene.engine.after(later, self._scene.record.acknowledge, self._number)
        else:
            self._scene.seen["acknowledgement lost"] += 1

    async def in_progress(self) -> None:
        """More time."""
        self._require_bus()
        self._scene.record.in_progress(self._number)

    def _require_bus(self) -> None:
        if not self._notifier.connected:
            raise nats.errors.ConnectionClosedError


class BusOf:
    """What the intake asks of the bus and of JetStream."""

    def __init__(self, scene: "Scene", notifier: "NotifierService") -> None:
        self._scene, self._notifier = scene, notifier

    @property
    def connected(self) -> bool:
        """Whether the server is reached."""
        return self._notifier.connected

    def jetstream(self, timeout: float) -> "BusOf":
        """It is all here."""
        return self

    async def consumer_info(self, _stream: str, _name: str) -> None:
        """Raises NotFoundError if nobody has made it yet."""
        self._require()
        if not self._scene.record.made:
            raise nats.js.errors.NotFoundError

    async def add_consumer(self, _stream: str, _config: object) -> None:
        """Make it, unless another notifier just did."""
        self._require()
        if not self._scene.record.made:
            self._scene.record.make()

    async def pull_subscribe_bind(self, _name: str, stream: str) -> "BusOf":
        """From now on `fetch` gives events."""
        self._require()
        return self

    async def fetch(self, batch: int, timeout: float) -> list[Any]:
        """Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                self._require()
                if numbers := self._scene.record.take(batch):
                    await asyncio.sleep(0.002)
                    return [Message(self._scene, self._notifier, one) for one in numbers]
                await asyncio.sleep(LOOK_EVERY)

    async def unsubscribe(self) -> None:
        """No more events."""

    def _require(self) -> None:
        if not self._notifier.connected:
            raise nats.errors.ConnectionClosedError
