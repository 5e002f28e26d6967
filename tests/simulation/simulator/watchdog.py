"""A host's hardware watchdog: it counts on, whatever becomes of the hands or of the host."""

from typing import TYPE_CHECKING

from tests.simulation.simulator.places import Place

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World


class Timer:
    """The device below `recovery.watchdog.Watchdog`."""

    def __init__(self, world: "World", place: Place) -> None:
        self._world, self._place = world, place
        self.armed = False
        self._timeout = 0
        self._round = 0

    def open(self, timeout: int, *, idle: bool) -> int:
        """Armed; a device that is open already is petted."""
        self._timeout = timeout
        self.armed = True
        self._count()
        return timeout

    def pet(self) -> None:
        """Count anew."""
        self._count()

    def close(self) -> None:
        """Disarmed."""
        self.reset()

    def reset(self) -> None:
        """Nothing counts any more: it was disarmed, or the host has lost its power."""
        self.armed = False
        self._round += 1

    def _count(self) -> None:
        world, place = self._world, self._place
        world.invariants.on_pet(place, self._timeout)
        self._round += 1
        at = world.engine.now + self._timeout / place.rate
        world.engine.at(at, self._fire, self._round)

    def _fire(self, round_: int) -> None:
        if round_ != self._round or not self.armed:
            return
        world, place = self._world, self._place
        world.seen["watchdog resets a host"] += 1
        world.power_off(place, "is reset by its watchdog")
        world.engine.after(4.0, world.power_on, place)
