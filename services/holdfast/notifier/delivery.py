"""One channel's worker: a bounded queue, attempts with back-off, and a memory of what was sent."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.events import Envelope
from holdfast.events.system import NotificationFailed, NotificationSent
from holdfast.notifier.channels import Channel, SendFailed
from holdfast.notifier.core import backoff
from holdfast.notifier.delivered import Delivered

MAX_WAITING = 256
_log = logging.getLogger("holdfast.notifier")

Report = Callable[[NotificationSent | NotificationFailed, Envelope], None]


@dataclass(eq=False, slots=True)
class Ticket:
    """One event on its way; `settled` is called when the last channel is done with it."""

    envelope: Envelope
    channels: int
    settled: Callable[["Ticket"], None]

    def done(self) -> None:
        """One channel has delivered, given up, or knew the event already."""
        self.channels -= 1
        if self.channels == 0:
            self.settled(self)


class Delivery:
    """Delivers to one channel, in order. It never makes another channel wait."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        delivered: Delivered,
        report: Report,
        *,
        wait: Callable[[int], float] = backoff,
    ) -> None:
        """`wait`: seconds after the nth attempt failed."""
        self._name, self._channel, self._delivered = name, channel, delivered
        self._report, self._wait = report, wait
        self._waiting: deque[Ticket] = deque()
        self._work = asyncio.Event()

    def offer(self, ticket: Ticket) -> None:
        """Take an event. A channel that has fallen far behind gives up its oldest for it."""
        if len(self._waiting) >= MAX_WAITING:
            oldest = self._waiting.popleft()
            if oldest.envelope.id not in self._delivered:
                reason = f"{MAX_WAITING} later notifications are waiting for this channel"
                self._give_up(oldest.envelope, 1, reason)
                self._delivered.add(oldest.envelope.id)
            oldest.done()
        self._waiting.append(ticket)
        self._work.set()

    async def run(self) -> None:
        """Deliver until cancelled. Raises MemoryLost."""
        while True:
            await self._work.wait()
            while self._waiting:
                ticket = self._waiting.popleft()
                if ticket.envelope.id not in self._delivered:
                    await self._deliver(ticket.envelope)
                    await asyncio.to_thread(self._delivered.add, ticket.envelope.id)
                ticket.done()
            self._work.clear()

    async def _deliver(self, envelope: Envelope) -> None:
        for attempt in range(1, self._channel.attempts + 1):
            try:
                await self._channel.send(envelope)
            except SendFailed as error:
                if error.final or attempt == self._channel.attempts:
                    self._give_up(envelope, attempt, error.reason)
                    return
                await asyncio.sleep(self._wait(attempt))
            else:
                sent = NotificationSent(channel=self._name, about=envelope.id, attempts=attempt)
                self._report(sent, envelope)
                return

    def _give_up(self, envelope: Envelope, attempts: int, reason: str) -> None:
        _log.error("channel %s was not told of %s: %s", self._name, envelope.id, reason)
        failed = NotificationFailed(
            channel=self._name, about=envelope.id, attempts=attempts, reason=reason[:1000]
        )
        self._report(failed, envelope)
