"""The bus as the services must fear it: messages get lost, late, twice, in any order."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.simulator.engine import Engine
from tests.simulation.simulator.places import Place, Service

LOCAL = 0.0003
HELD_BACK = 0.05
"""The share of what a broken link takes that still arrives, seconds later: buffers, retries."""
HELD_BACK_ORDERS = 0.3
REMEMBERED = 60
Letter = tuple[str, str, str, tuple[Any, ...]]
"""To which place, service and method, and with what."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What a bad spell does to every message between places."""

    loss: float
    twice: float
    late: float


CALM = Weather(0.0, 0.0, 0.0)


class Network:
    """Links between places. A link is one-way: `cut` holds (from, to)."""

    def __init__(self, engine: Engine, places: dict[str, Place], seen: Counter[str]) -> None:
        self._engine, self._places, self._seen = engine, places, seen
        self.cut: dict[tuple[str, str], int] = {}
        self.weather = CALM
        self.trap: Callable[[str, str], None] | None = None
        """What happens at the next order, just before it leaves: given sender and receiver."""
        self._past: deque[Letter] = deque(maxlen=REMEMBERED)
        self._orders: deque[Letter] = deque(maxlen=REMEMBERED)

    def linked(self, a: str, b: str) -> bool:
        """Whether two places hear each other, both ways."""
        return a == b or ((a, b) not in self.cut and (b, a) not in self.cut)

    def send(self, src: str, dst: str, slot: str, method: str, *args: Any) -> None:
        """To whichever incarnation of a service runs there when the message arrives."""
        letter, held_back = (dst, slot, method, args), HELD_BACK
        if src != dst:
            self._past.append(letter)
            if method == "order":
                held_back = HELD_BACK_ORDERS
                self._orders.append(letter)
                self._spring(src, dst)
        for delay in self._delays(src, dst, held_back):
            self._engine.after(delay, self._arrive, letter)

    def reply(self, src: str, asker: Service, act: Callable[..., None], *args: Any) -> None:
        """To the very process that asked: its inbox dies with it."""
        for delay in self._delays(src, asker.place.name):
            self._engine.after(delay, asker.run, act, args)

    def repeat_something_old(self) -> None:
        """A message of the past arrives once more, or at last."""
        chance = self._engine.chance
        past = self._orders if self._orders and chance.random() < 0.6 else self._past
        if past:
            self._seen["old message arrives"] += 1
            self._arrive(chance.choice(past))

    def _spring(self, src: str, dst: str) -> None:
        trap, self.trap = self.trap, None
        if trap is not None:
            trap(src, dst)

    def _arrive(self, letter: Letter) -> None:
        dst, slot, method, args = letter
        service = self._places[dst].services.get(slot)
        if service is not None:
            service.run(getattr(service, method), args)

    def _delays(self, src: str, dst: str, held_back: float = HELD_BACK) -> tuple[float, ...]:
        random = self._engine.chance.random
        if src == dst:
            return (LOCAL,)
        if (src, dst) in self.cut:
            held = random() < held_back
            self._seen["message held back by a cut" if held else "message cut off"] += 1
            return (0.5 + 15.0 * random(),) if held else ()
        usual = 0.0005 + 0.003 * random()
        weather = self.weather
        if weather is CALM:
            return (usual,)
        if random() < weather.loss:
            self._seen["message lost"] += 1
            return ()
        if random() < weather.late:
            self._seen["message late"] += 1
            usual += 2.5 * random() ** 3
        if random() < weather.twice:
            self._seen["message twice"] += 1
            return usual, usual + random()
        return (usual,)
