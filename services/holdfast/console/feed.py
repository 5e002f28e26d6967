"""Events for `holdfast events`: the past from a moment on, and live ones.

Live events do not pass through JetStream, which may stall for seconds when its leader is lost.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime

from nats.aio.msg import Msg

from holdfast.bus import Bus
from holdfast.console.connection import Unreachable
from holdfast.console.stored import stored_messages
from holdfast.subjects import EVENT_STREAM, EVENTS

MAX_WAITING = 20_000
"""Live events kept while the past is printed; older ones are dropped and can be replayed."""


async def replay(bus: Bus, since: datetime | None = None) -> AsyncIterator[bytes]:
    """Every stored event in order, as published, up to now. Raises Unreachable."""
    async for _, raw in stored_messages(bus, _unreachable, since=since):
        yield raw


def _unreachable(_: int, error: Exception) -> Unreachable:
    return Unreachable(
        f"the record of events cannot be read now: {error!r}",
        place=f"stream {EVENT_STREAM}",
        cure="try again in ten seconds; if it lasts, are most nats-servers running?",
    )


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
