"""Machines with a power switch, a clock of their own, and services that run, freeze and die."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

MAX_BACKLOG = 4000
"""What piles up for a frozen service; beyond, the bus drops it as a slow consumer's."""
UP_FOR = 20.0
"""What a machine's clock shows when its services start."""


class Service:
    """One process of Holdfast, from its start to its end. A restart is another object."""

    slot = ""
    title = ""
    """The service's name outside of the simulator."""

    def __init__(self, world: "World", place: "Place") -> None:
        self.world, self.place = world, place
        self.alive = True
        self.frozen = 0
        self.fuse: int | None = None
        """Effects it may still carry out before it is killed in the middle of a step."""
        self._backlog: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def clock(self) -> float:
        """This machine's monotonic time."""
        place = self.place
        return UP_FOR + (self.world.engine.now - place.booted_at) * place.rate

    def start(self) -> None:
        """Begin to work."""

    def after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        """A timer on this machine's clock. It dies with the service and freezes with it."""
        engine = self.world.engine
        engine.at(engine.now + seconds / self.place.rate, self.run, act, args)

    def run(self, act: Callable[..., None], args: tuple[Any, ...]) -> None:
        """Something reaches the service."""
        if not self.alive:
            return
        if self.frozen:
            if len(self._backlog) < MAX_BACKLOG:
                self._backlog.append((act, args))
            return
        act(*args)

    def freeze(self) -> None:
        """SIGSTOP, or the whole machine stands still."""
        self.frozen += 1

    def thaw(self) -> None:
        """Go on; what piled up comes first and in order."""
        self.frozen -= 1
        if self.frozen:
            return
        waiting, self._backlog = self._backlog, []
        for act, args in waiting:
            self.world.engine.after(0.0, self.run, act, args)

    def blown(self) -> bool:
        """Whether the service is killed before its next effect."""
        if self.fuse is None:
            return not self.alive
        self.fuse -= 1
        if self.fuse < 0 and self.alive:
            self.world.note(
                self.place, f"{self.title} is killed in the middle of a step", fault=True
            )
            self.alive = False
        return not self.alive


class Place:
    """A host or a witness."""

    def __init__(self, name: str, rate: float, *, host: bool) -> None:
        self.name, self.rate, self.is_host = name, rate, host
        self.number = 0
        self.boot = ""
        self.powered = False
        self.paused = False
        self.booted_at = self.off_since = 0.0
        self.services: dict[str, Service] = {}
        # What a power loss leaves behind.
        self.votes: bytes | None = None
        self.votes_lost = False
        """They are gone, and its voter does not know yet what they were."""
        self.journal: dict[str, bytes] = {}
        self.lease_file: bytes = b""

    def service(self, slot: str) -> Service | None:
        """The running incarnation of a service."""
        service = self.services.get(slot)
        return service if service is not None and service.alive else None

    def lose_votes(self) -> None:
        """The voter's file is gone, if there was one."""
        self.votes_lost = self.votes_lost or self.votes is not None
        self.votes = None

    def lose_disk(self) -> None:
        """A new disk: no votes, no journal."""
        self.lose_votes()
        self.journal = {}
        self.lease_file = b""
