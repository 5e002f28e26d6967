"""Two notifiers tell the record of a history; they die, are cut off, and their channels fail.

A scene of its own, on a time of its own: so it changes nothing of the history.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

from holdfast.events import Envelope, EventData, decode_data
from holdfast.events.hands import RecoveryExhausted
from holdfast.events.ownership import DecisionMade, DecisionRefused, GroupHeld, MoveFailed
from holdfast.events.storage import VolumeDiskFailed, VolumeFrozen, VolumeRefused
from holdfast.events.system import NotificationFailed, NotificationSent
from holdfast.notifier.channels import SendFailed
from holdfast.notifier.core import line, notable
from holdfast.notifier.delivered import Delivered
from holdfast.notifier.delivery import Delivery
from holdfast.notifier.intake import Intake
from tests.simulation.simulator.engine import Engine
from tests.simulation.simulator.notifying.record import BusOf, Record
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.storage.loop import VirtualLoop
from tests.simulation.simulator.violation import Violation

MUST = (
    DecisionMade, DecisionRefused, GroupHeld, MoveFailed, RecoveryExhausted, VolumeRefused,
    VolumeFrozen, VolumeDiskFailed,
)  # fmt: skip
"""What people must hear of, whatever the notifier takes for notable."""
PLACES = ("omega", "alpha")
CHANNELS = ("pager", "wiki")
LASTS = 60.0
DONE_WITHIN = 400.0


class Told:
    """What reached people, and what they were told did not: the truth to compare with."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self.words: dict[str, object] = {}
        self.reached: set[tuple[str, str]] = set()
        self.given_up: set[tuple[str, str]] = set()

    def tell(self, notifier: "NotifierService", channel: str, envelope: Envelope) -> None:
        """Somebody reads it."""
        event, words = envelope.id, line(envelope)
        if self.words.setdefault(event, words) != words:
            raise Violation("notifier", f"{event} is told in other words")
        if not notable(decode_data(envelope), None):
            raise Violation("notifier", f"{words.event} is nobody's business")
        if event in self._scene.record.acknowledged:
            raise Violation("notifier", f"{event} is told again after it was acknowledged")
        if event in self._scene.remembered[notifier.place.name, channel]:
            raise Violation("notifier", f"{notifier.place.name} tells {event} a second time")
        if (channel, event) in self.reached:
            self._scene.seen["told twice"] += 1
        self.reached.add((channel, event))
        self._scene.seen["told"] += 1

    def check(self, envelopes: Iterable[Envelope]) -> None:
        """Everything that must be told was, by every channel, or it was said that it was not."""
        for envelope in envelopes:
            data = decode_data(envelope)
            if isinstance(data, MUST) or notable(data, None):
                self._check(envelope, data)

    def _check(self, envelope: Envelope, data: EventData | None) -> None:
        for channel in CHANNELS:
            key = channel, envelope.id
            if key not in self.reached and key not in self.given_up:
                raise Violation("notifier", f"{channel} was never told of {data}")


class Channel:
    """A way out that is slow, fails, or does what it says it did not."""

    attempts = 4

    def __init__(self, notifier: "NotifierService", name: str) -> None:
        self._notifier, self._name = notifier, name

    async def send(self, envelope: Envelope) -> None:
        """Raises SendFailed."""
        notifier, scene = self._notifier, self._notifier.scene
        chance = scene.chance
        await asyncio.sleep(chance.choice([0.005, 0.02, 0.3]))
        if self._name in scene.dead_channels:
            raise SendFailed("nobody answers", final=chance.random() < 0.1)
        await notifier.live()
        scene.told.tell(notifier, self._name, envelope)
        await notifier.live()
        if not scene.calm and chance.random() < 0.05:
            raise SendFailed("its answer was lost")


class Kept(Delivered):
    """The list of one channel, on a simulated disk."""

    def __init__(self, notifier: "NotifierService", channel: str) -> None:
        self._notifier = notifier
        self._on_disk = notifier.scene.remembered[notifier.place.name, channel]
        self._ids = dict(self._on_disk)

    def add(self, event: str) -> None:
        """Durable when it returns, unless the process dies first."""
        if not self._notifier.blown():
            self._ids[event] = None
            self._on_disk[event] = None


class NotifierService(Service):
    """One notifier process."""

    slot = title = "notifier"

    def __init__(self, scene: "Scene", place: Place) -> None:
        world: Any = scene
        super().__init__(world, place)
        wires: Any = scene.wires
        self.scene = scene
        self.connected = True
        self.loop = VirtualLoop(self, wires)

    def start(self) -> None:
        """As the notifier's `main` does."""
        self.loop.enter(self._begin)

    def _begin(self) -> None:
        deliveries = []
        for name in CHANNELS:
            report = partial(self._report, name)
            deliveries.append(Delivery(name, Channel(self, name), Kept(self, name), report))
        bus: Any = BusOf(self.scene, self)
        intake = Intake(bus, deliveries, partial(notable, names=None), self._reject)
        for delivery in deliveries:
            self.loop.work(delivery.run(), "delivery")
        self.loop.work(intake.acknowledge(), "acknowledge")
        self.loop.work(intake.keep(), "keep")
        self.loop.work(intake.run(), "intake")

    def _report(
        self, channel: str, data: NotificationSent | NotificationFailed, about: Envelope
    ) -> None:
        if isinstance(data, NotificationFailed):
            self.scene.seen["given up"] += 1
            self.scene.told.given_up.add((channel, about.id))

    def _reject(self, _subject: str, _kind: str, problem: str) -> None:
        raise Violation("notifier", f"an event of ours is rejected: {problem}")

    async def live(self) -> None:
        """Perhaps this is where it is killed."""
        if self.blown():
            await self.loop.create_future()


class Scene:
    """What the services take for their world."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(f"notifiers of {seed}")
        self.engine = Engine(self.chance)
        self.wires = SimpleNamespace(loops=[])
        self.seen: Counter[str] = Counter()
        self.tape = None
        self.calm = False
        self.record, self.told = Record(self), Told(self)
        self.places = {name: Place(name, 1.0, host=True) for name in PLACES}
        self.remembered: dict[tuple[str, str], dict[str, None]] = {
            (place, channel): {} for place in PLACES for channel in CHANNELS
        }
        self.dead_channels: set[str] = set()

    def note(self, *_: object, **__: object) -> None:
        """There is no timeline."""

    def play(self, envelopes: list[Envelope]) -> None:
        """Everything happens within `LASTS` seconds; then it must be told. Raises Violation."""
        engine, chance = self.engine, self.chance
        for place in self.places.values():
            engine.at(chance.uniform(0.0, 3.0), self._start, place)
        # Events come in bursts, as those of an incident do.
        at = 0.0
        for envelope in envelopes:
            at += chance.choice([0.0, 0.0, 0.0, 2.0 * LASTS / max(1, len(envelopes))])
            engine.at(at, self.record.append, envelope)
        for _ in range(chance.randint(1, 6)):
            engine.at(chance.uniform(0.0, LASTS), self._trouble)
        engine.run_until(max(at, LASTS))
        self._calm()
        while not self.record.told:
            engine.run_until(engine.now + 5.0)
            if engine.now > DONE_WITHIN:
                raise Violation("notifier", "what happened is not all told")
        self.told.check(envelopes)

    def bury(self) -> None:
        """The scene is over."""
        for loop in self.wires.loops:
            loop.bury()

    def _start(self, place: Place) -> None:
        if place.service("notifier") is None:
            place.services["notifier"] = service = NotifierService(self, place)
            service.run(service.start, ())

    def _trouble(self) -> None:
        chance, place = self.chance, self.places[self.chance.choice(PLACES)]
        service = place.service("notifier")
        kind = chance.choice(["killed", "killed", "cut off", "channel dead"])
        self.seen[f"notifier: {kind}"] += 1
        lasts = chance.choice([0.2, 3.0, 40.0]) * chance.uniform(0.5, 1.5)
        if kind == "channel dead":
            channel = chance.choice(CHANNELS)
            self.dead_channels.add(channel)
            self.engine.after(lasts, self.dead_channels.discard, channel)
        elif isinstance(service, NotifierService):
            if kind == "killed":
                service.fuse = chance.randint(0, 6)
                self.engine.after(lasts, self._again, place)
            else:
                service.connected = False
                self.engine.after(lasts, setattr, service, "connected", True)

    def _again(self, place: Place) -> None:
        service = place.service("notifier")
        if service is not None:
            service.alive = False
        self._start(place)

    def _calm(self) -> None:
        self.calm = True
        self.dead_channels.clear()
        for place in self.places.values():
            service = place.service("notifier")
            if isinstance(service, NotifierService):
                service.connected, service.fuse = True, None
            self._start(place)


def notified(seed: int) -> bool:
    """One seed in nine, and not those that have volumes."""
    return seed % 9 == 7


def tell(seed: int, envelopes: Iterable[Envelope]) -> Counter[str]:
    """Tell people of a history; what happened. Raises Violation."""
    scene = Scene(seed)
    try:
        scene.play(list(envelopes))
    finally:
        scene.bury()
    return scene.seen
