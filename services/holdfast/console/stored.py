"""Stored events in order, read on through the loss of the server that hands them out."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from holdfast.bus import Bus
from holdfast.console.patience import Patience
from holdfast.errors import HoldfastError
from holdfast.subjects import EVENT_STREAM, EVENTS

BATCH = 500
TIMEOUT = 10.0
FORGET_AFTER = 30.0

GivenUp = Callable[[int, nats.errors.Error], HoldfastError]
"""What is raised in the end: made of the sequence that was to be read, and why it was not."""


async def stored_messages(
    bus: Bus,
    given_up: GivenUp,
    *,
    first: int = 1,
    since: datetime | None = None,
    last: int | None = None,
) -> AsyncIterator[tuple[int, bytes]]:
    """Sequence and bytes of every event, from `since`, else from `first` on, through `last`.

    Without `last` it ends where the stream ends now. Raises what `given_up` makes.
    """
    following, patience = first, Patience()
    while last is None or following <= last:
        try:
            async for sequence, raw in _from(bus, following, since, last):
                following, since = sequence + 1, None
                patience.renew()
                yield sequence, raw
            return
        except nats.errors.Error as error:
            # The consumer's server may have gone: another one continues where this one ended.
            if not await patience.lasts():
                raise given_up(following, error) from error


async def _from(
    bus: Bus, first: int, since: datetime | None, last: int | None
) -> AsyncIterator[tuple[int, bytes]]:
    """By one consumer, which is lost with its server."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME if since else DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=None if since else first,
        opt_start_time=since,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=FORGET_AFTER,
        mem_storage=True,
        num_replicas=1,
    )
    js = bus.jetstream(timeout=TIMEOUT)
    consumer = await js.pull_subscribe(EVENTS, stream=EVENT_STREAM, config=config)
    try:
        if last is None:
            left = (await consumer.consumer_info()).num_pending or 0
        else:
            left = last - first + 1
        while left > 0:
            for message in await consumer.fetch(min(BATCH, left), timeout=TIMEOUT):
                at = message.metadata.sequence.stream
                # A replica that is behind has nothing pending, but has not come to `last`.
                left = message.metadata.num_pending if last is None else last - at
                yield at, message.data
    finally:
        if bus.connected:
            await consumer.unsubscribe()
