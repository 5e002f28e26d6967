"""What the hands say all the time: the pulse to everybody, the watch to this node's monitor."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from holdfast import clock, subjects
from holdfast.bus import BusError
from holdfast.config.volume_check import replicated
from holdfast.events import Draft
from holdfast.recovery.actor import Actor
from holdfast.recovery.leaseholder import LeaseHolder
from holdfast.recovery.watchdog import Watchdog
from holdfast.recovery.watchdog_signals import WatchdogSignals
from holdfast.service import Runtime
from holdfast.wire import Acknowledged, HandsPulse, Watch, WatchedResource
from holdfast.wire.volumes import NodeLease

WATCH_EVERY = 2.0
WATCH_DEADLINE = 1.0
MIN_PULSE_GAP = 0.02
"""Seconds between pulses: changes that come together travel together."""
_log = logging.getLogger("holdfast.recovery")


class Reporter:
    """Level-triggered: all is said again and again, so a lost message heals with the next."""

    def __init__(
        self,
        rt: Runtime,
        lease: LeaseHolder,
        watchdog: Watchdog,
        record: Callable[[Draft], object],
    ) -> None:
        self._rt, self._lease, self._watchdog = rt, lease, watchdog
        self._watchdog_signals = WatchdogSignals(rt.place, rt.boot, record)
        self.actors: list[Actor] = []
        self.changed = asyncio.Event()
        self._watch_changed = asyncio.Event()
        self._watched: list[WatchedResource] = []

    async def run_pulse(self) -> None:
        """Send pulses until cancelled: every `pulse_every`, and at once on a change."""
        while True:
            self.changed.clear()
            self._compare_watched()
            self._watchdog_signals.see(self._watchdog.report())
            await self._rt.paths.beat(self._pulse(), within=self._rt.timing.pulse_every)
            await asyncio.sleep(MIN_PULSE_GAP)
            await _set_within(self.changed, self._rt.timing.pulse_every)

    async def run_watch(self) -> None:
        """Tell the monitor what runs until cancelled: every WATCH_EVERY, at once on a change."""
        while True:
            self._watch_changed.clear()
            watch = Watch(node=self._rt.place, boot=self._rt.boot, resources=self._watched)
            subject = subjects.command(self._rt.place, "monitor")
            try:
                reply = await self._rt.bus.request(
                    subject, watch, Acknowledged, timeout=WATCH_DEADLINE
                )
                if not reply.ok:
                    _log.error("the monitor refuses to watch: %s", reply.error)
            except BusError as error:
                _log.debug("the monitor did not answer: %s", error.problem)
            await _set_within(self._watch_changed, WATCH_EVERY)

    async def run_lease(self) -> None:
        """Tell the storage service the end of the lease until cancelled, with each renewal.

        Volumes of this node answer nobody without it. Nothing to do where there are none.
        """
        subject = subjects.command(self._rt.place, "storage_replication")
        members = [volume.members for volume in replicated(self._rt.cluster).values()]
        while any(self._rt.place in names for names in members):
            lease = NodeLease(
                node=self._rt.place,
                boot=self._rt.boot,
                since=self._lease.tenure.since,
                valid_until=self._lease.valid_until,
            )
            with contextlib.suppress(BusError):
                await self._rt.bus.publish(subject, lease)
            await asyncio.sleep(self._rt.timing.renew_every)

    def _pulse(self) -> HandsPulse:
        return HandsPulse(
            node=self._rt.place,
            boot=self._rt.boot,
            now=clock.monotonic(),
            term=self._lease.term,
            lease_valid=self._lease.tenure.held,
            groups=[actor.report() for actor in self.actors],
            watchdog=self._watchdog.report(),
        )

    def _compare_watched(self) -> None:
        watched = [resource for actor in self.actors for resource in actor.watched()]
        if watched != self._watched:
            self._watched = watched
            self._watch_changed.set()


async def _set_within(event: asyncio.Event, timeout: float) -> None:
    """Return when the event is set, or after `timeout` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await event.wait()
