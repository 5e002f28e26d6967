"""Follows the events of a running cluster, each once, through reconnects of its connection."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from holdfast.bus import Bus
from holdfast.console.connection import Unreachable
from holdfast.console.feed import Live, replay
from holdfast.events import Envelope, MalformedEvent, decode_envelope

OVERLAP = timedelta(seconds=60)
AGAIN_AFTER = 0.5


@dataclass(frozen=True)
class Seen:
    """One event: its name, its envelope, and its data as plain values."""

    name: str
    envelope: Envelope
    data: dict[str, Any]

    @property
    def service(self) -> str:
        """`<place>/<service>` of its producer."""
        return self.envelope.source.split("/", 2)[2]

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value}" for key, value in self.data.items() if value != "")
        return f"{self.envelope.time[11:23]} {self.service:28} {self.name:20} {told[:300]}"


Wanted = Callable[[Seen], bool]


def event(*names: str, **fields: object) -> Wanted:
    """A predicate: an event of one of these names whose data has these values."""

    def fits(seen: Seen) -> bool:
        return seen.name in names and all(seen.data.get(k) == v for k, v in fields.items())

    return fits


class Follower:
    """What the cluster says, in order of arrival. `bus` belongs to an operator."""

    def __init__(self, bus: Bus) -> None:
        self.seen: list[Seen] = []
        self._bus = bus
        self._live = Live(bus)
        self._ids: set[str] = set()
        self._waiting: dict[asyncio.Future[Seen], Wanted] = {}
        self._gap = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to follow; the past comes, too, as soon as it can be read."""
        await self._live.open()
        self._gap.set()
        self._bus.on_connected.append(self._gap.set)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._fill_gaps())]

    async def close(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def since(self, began: str) -> list[Seen]:
        """Every event whose own time is `began` (RFC 3339, of this machine) or later."""
        return [seen for seen in self.seen if seen.envelope.time >= began]

    async def next(self, wanted: Wanted, *, since: str, timeout: float, what: str) -> Seen:
        """The first event fitting `wanted` of time `since` or later, past ones included."""

        def fits(seen: Seen) -> bool:
            return seen.envelope.time >= since and wanted(seen)

        for seen in self.seen:
            if fits(seen):
                return seen
        future: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting[future] = fits
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise AssertionError(f"{what} was not seen within {timeout:.0f} s") from None
        finally:
            del self._waiting[future]

    async def _follow(self) -> None:
        async for raw in self._live.events():
            self._take(raw)

    async def _fill_gaps(self) -> None:
        """What was said while this connection was down is in the record."""
        upto = None
        while True:
            await self._gap.wait()
            self._gap.clear()
            began = datetime.now(UTC)
            try:
                async for raw in replay(self._bus, upto):
                    self._take(raw)
                upto = began - OVERLAP
            except Unreachable:
                self._gap.set()
                await asyncio.sleep(AGAIN_AFTER)

    def _take(self, raw: bytes) -> None:
        try:
            envelope = decode_envelope(raw, place="event")
        except MalformedEvent:
            return  # some tests forge events; that those are rejected is theirs to see
        if envelope.id in self._ids:
            return
        self._ids.add(envelope.id)
        seen = Seen(envelope.type.split(".")[1], envelope, msgspec.json.decode(envelope.data))
        self.seen.append(seen)
        for future, fits in self._waiting.items():
            if not future.done() and fits(seen):
                future.set_result(seen)
