"""When the node's watchdog is armed, petted and disarmed. No clock of its own; times are monotonic.

The promise that the decider builds on: whatever runs here, runs under an armed watchdog, and that
one resets the node before the lease ends, unless a majority renews it. So it is

- armed before the first start, and disarmed only when every group was seen to be stopped;
- petted only on the ground of an acknowledged renewal: while its time-out ends before the lease;
- left armed when this service ends or dies: its successor has to be back in time.

One that turns out not to be stoppable serves for nothing, and would reset an idle node: nothing is
started, and it is petted for as long as this service lives, lease or not.
"""

import logging
from typing import Protocol

from holdfast.recovery.watchdog_device import Unstoppable, WatchdogError
from holdfast.wire import WatchdogReport

TRY_AGAIN = 10.0
"""Seconds until a watchdog that could not be armed is tried again."""
JUST_BEFORE = 0.02
"""Seconds by which a timer may be late."""
NOT_FRESH = "the lease was not renewed recently enough to arm the watchdog"
_log = logging.getLogger("holdfast.recovery")


class Device(Protocol):
    """A watchdog device. All methods raise WatchdogError; `open` and `close` raise Unstoppable."""

    def open(self, timeout: int, *, idle: bool) -> int:
        """It counts down at most `timeout` seconds from now, again and again from each `pet`.

        Returns how many it counts. `idle`: nothing runs that it has to end.
        """
        ...

    def pet(self) -> None:
        """Begin to count anew."""

    def close(self) -> None:
        """Stop counting; if that cannot be done, it counts on."""


class Watchdog:
    """The watchdog of a node, or of one that has none."""

    def __init__(self, device: Device | None, timeout: int) -> None:
        self._device, self._longest = device, timeout
        self._timeout = timeout
        """What was granted last."""
        self._armed = self._unstoppable = self._unpetted = False
        self._problem = ""
        self._again_at = 0.0

    def report(self) -> WatchdogReport | None:
        """What the pulse says of it; None without one."""
        if self._device is None:
            return None
        problem = self._problem[:1000]
        return WatchdogReport(armed=self._armed, timeout=float(self._timeout), problem=problem)

    def arm(self, valid_until: float, now: float, *, owns: bool) -> str:
        """Before a start: armed when this returns nothing; else why nothing may be started."""
        if self._device is None or self._armed:
            return ""
        if not self._unstoppable:
            if valid_until - now < self._longest:
                return NOT_FRESH
            self._open(now, idle=not owns)
        return f"the watchdog cannot be armed: {self._problem}" if self._problem else ""

    def look(self, valid_until: float, now: float, *, owns: bool) -> None:
        """Pet while the lease outlasts the watchdog's time. `owns`: something may run here."""
        if self._device is None:
            return
        if self._unstoppable or (self._armed and valid_until - now >= self._timeout):
            self._pet()
        elif self._armed or valid_until - now < self._longest:
            return
        elif (owns or self._problem) and now >= self._again_at:
            self._open(now, idle=not owns)
            if not owns:
                self.idle()  # it was only tried whether it can be armed again

    def last_pet(self, valid_until: float) -> float | None:
        """When to look at the latest, for the watchdog to act at the end of the lease, no earlier.

        So hands that are cut off have the time to stop everything, and to disarm it.
        """
        return valid_until - self._timeout - JUST_BEFORE if self._armed else None

    def idle(self) -> None:
        """Every group was seen to be stopped: nothing here needs to be ended."""
        if self._device is None or not self._armed:
            return
        try:
            self._device.close()
            self._armed = False
        except WatchdogError as error:
            self._refused(error)

    def _open(self, now: float, *, idle: bool) -> None:
        assert self._device is not None
        self._again_at = now + TRY_AGAIN
        try:
            self._timeout = self._device.open(self._longest, idle=idle)
        except WatchdogError as error:
            self._refused(error)
            return
        self._armed, self._problem = True, ""
        if self._timeout < self._longest:
            _log.warning(
                "the watchdog takes at most %d of %d s: a shorter stall resets this node",
                *(self._timeout, self._longest),
            )

    def _refused(self, error: WatchdogError) -> None:
        if isinstance(error, Unstoppable):
            self._unstoppable, self._armed = True, False
        self._say(error)

    def _pet(self) -> None:
        assert self._device is not None
        try:
            self._device.pet()
        except WatchdogError as error:
            self._say(error)
            self._unpetted = True
            return
        if self._unpetted and not self._unstoppable:
            self._unpetted, self._problem = False, ""

    def _say(self, error: WatchdogError) -> None:
        if error.problem != self._problem:
            _log.critical("%s", error)
        self._problem = error.problem
