"""Taking events from the stream through the durable consumer that all notifiers share.

A message is acknowledged when every channel is done with its event; until then the server is told
that work goes on. If this notifier dies, the server gives the message to another one.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from holdfast.bus import Bus
from holdfast.events import Envelope, EventData, MalformedEvent, decode_data, decode_envelope
from holdfast.notifier.delivery import Delivery, Ticket
from holdfast.subjects import EVENT_STREAM

CONSUMER = "notifier"
ACK_WAIT = 30.0
MAX_ACK_PENDING = 512
BATCH = 32
FETCH_TIMEOUT = 5.0
TRY_AGAIN = 1.0
LOOK_BACK = timedelta(minutes=10)
_log = logging.getLogger("holdfast.notifier")


class Intake:
    """Feeds the channels. `wanted` says which events; `reject` takes what is no event."""

    def __init__(
        self,
        bus: Bus,
        deliveries: list[Delivery],
        wanted: Callable[[EventData | None], bool],
        reject: Callable[[str, str, str], None],
    ) -> None:
        self._bus, self._deliveries = bus, deliveries
        self._wanted, self._reject = wanted, reject
        self._open: dict[Ticket, Msg] = {}
        self._settled: asyncio.Queue[Msg] = asyncio.Queue()

    async def run(self) -> None:
        """Take events until cancelled; waits for the stream and comes back after every loss."""
        said = False
        while True:
            try:
                await self._consume()
            except nats.errors.Error as error:
                if not said:
                    _log.warning("the record cannot be followed yet, trying on: %r", error)
                said = True
            await asyncio.sleep(TRY_AGAIN)

    async def acknowledge(self) -> None:
        """Acknowledge what is settled, until cancelled. A lost one means a repetition, no more."""
        while True:
            message = await self._settled.get()
            try:
                await message.ack()
            except nats.errors.Error as error:
                _log.info("not acknowledged, it will come again: %r", error)

    async def keep(self) -> None:
        """Tell the server of the work still in progress, until cancelled."""
        while True:
            await asyncio.sleep(ACK_WAIT / 3)
            for message in list(self._open.values()):
                try:
                    await message.in_progress()
                except nats.errors.Error:
                    break  # not connected: what is open comes again and is known then

    async def _consume(self) -> None:
        js = self._bus.jetstream(timeout=FETCH_TIMEOUT)
        await _ensure_consumer(js)
        subscription = await js.pull_subscribe_bind(CONSUMER, stream=EVENT_STREAM)
        try:
            while self._bus.connected:
                try:
                    messages = await subscription.fetch(BATCH, timeout=FETCH_TIMEOUT)
                except TimeoutError:  # nats-py raises its own or asyncio's
                    continue
                for message in messages:
                    self._take(message)
        finally:
            if self._bus.connected:
                await subscription.unsubscribe()

    def _take(self, message: Msg) -> None:
        try:
            envelope = decode_envelope(message.data, place=message.subject)
            wanted = self._wanted(decode_data(envelope))
        except MalformedEvent as error:
            self._reject(message.subject, "malformed", error.problem)
            self._settled.put_nowait(message)
            return
        if wanted and self._deliveries:
            self._hand_out(envelope, message)
        else:
            self._settled.put_nowait(message)

    def _hand_out(self, envelope: Envelope, message: Msg) -> None:
        ticket = Ticket(envelope, len(self._deliveries), self._on_settled)
        self._open[ticket] = message
        for delivery in self._deliveries:
            delivery.offer(ticket)

    def _on_settled(self, ticket: Ticket) -> None:
        self._settled.put_nowait(self._open.pop(ticket))


async def _ensure_consumer(js: JetStreamContext) -> None:
    """Create the durable consumer, or find it there: whoever made it chose where it begins."""
    try:
        await js.consumer_info(EVENT_STREAM, CONSUMER)
    except nats.js.errors.NotFoundError:
        # A notifier added to an old cluster is not to page people about last year.
        since = datetime.now(UTC) - LOOK_BACK
        await js.add_consumer(
            EVENT_STREAM,
            ConsumerConfig(
                durable_name=CONSUMER,
                deliver_policy=DeliverPolicy.BY_START_TIME,
                opt_start_time=since,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT,
                max_ack_pending=MAX_ACK_PENDING,
            ),
        )
