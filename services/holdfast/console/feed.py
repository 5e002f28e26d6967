"""Events for `holdfast events`: the past from a moment on, and live ones.

Live events do not pass through JetStream, which may stall for seconds when its leader is lost.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from holdfast.bus import Bus
from holdfast.console.connection import Unreachable
from holdfast.console.patience import Patience
from holdfast.subjects import EVENT_STREAM, EVENTS

BATCH = 256
TIMEOUT = 10.0
MAX_WAITING = 20_000
"""Live events kept while the past is printed; older ones are dropped and can be replayed."""


async def replay(bus: Bus, since: datetime | None = None) -> AsyncIterator[bytes]:
    """Every stored event in order, as published, up to now. Raises Unreachable."""
    patience, after = Patience(), 0
    while True:
        try:
            async for sequence, raw in _past(bus, since, after):
                after = sequence
                patience.renew()
                yield raw
            return
        except (nats.errors.Error, nats.js.errors.Error) as error:
            if not await patience.lasts():
                raise Unreachable(
                    f"the record of events cannot be read now: {error!r}",
                    place=f"stream {EVENT_STREAM}",
                    cure="try again in ten seconds; if it lasts, are most nats-servers running?",
                ) from error


async def _past(bus: Bus, since: datetime | None, after: int) -> AsyncIterator[tuple[int, bytes]]:
    """Sequence and event of what is stored now, from `since` on, or what follows `after`."""
    policy = DeliverPolicy.BY_START_TIME if since else DeliverPolicy.ALL
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE if after else policy,
        opt_start_seq=after + 1 if after else None,
        opt_start_time=None if after else since,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=TIMEOUT * 3,
        mem_storage=True,
        num_replicas=1,
    )
    stream = bus.jetstream(timeout=TIMEOUT)
    consumer = await stream.pull_subscribe(EVENTS, stream=EVENT_STREAM, config=config)
    left = (await consumer.consumer_info()).num_pending or 0
    while left:
        for message in await consumer.fetch(min(BATCH, left), timeout=TIMEOUT):
            left = message.metadata.num_pending
            yield message.metadata.sequence.stream, message.data
    await consumer.unsubscribe()


class Live:
    """Events as they happen, from the moment `open` returns."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._arrived = asyncio.Event()

    async def open(self) -> None:
        """Begin to listen."""
        await self._bus.client.subscribe(EVENTS, cb=self._receive)
        await self._bus.flush()

    async def events(self) -> AsyncIterator[bytes]:
        """What arrived and what will, without end."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                yield self._waiting.popleft()

    async def _receive(self, message: Msg) -> None:
        self._waiting.append(message.data)
        self._arrived.set()
