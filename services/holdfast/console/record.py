"""Reading the whole record, from the stream or from a file of one event a line."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import aiofiles
import aiofiles.os

from holdfast import jetstream
from holdfast.bus import Bus, BusError
from holdfast.console.patience import Patience
from holdfast.console.stored import stored_messages
from holdfast.errors import HoldfastError
from holdfast.events import MAX_EVENT_BYTES, Envelope, MalformedEvent, decode_envelope
from holdfast.subjects import EVENT_STREAM

INFO_TIMEOUT = 5.0

Progress = Callable[[int, int], None]
"""Called with how much is read and how much there is, in messages or bytes."""


class RecordUnreadable(HoldfastError):
    """The record cannot be read, or not to its end."""


class Stored(NamedTuple):
    """One message of the record and where it stood."""

    place: str
    raw: bytes


class Extent(NamedTuple):
    """The stream sequences the record spans. It is `whole` if nothing was dropped at its start."""

    first: int
    last: int

    @property
    def whole(self) -> bool:
        return self.first <= 1


async def extent(bus: Bus) -> Extent:
    """How far the record reaches now. Raises RecordUnreadable."""
    patience, call = Patience(), f"STREAM.INFO.{EVENT_STREAM}"
    while True:
        try:
            state = (await jetstream.api(bus, call, {}, timeout=INFO_TIMEOUT))["state"]
            return Extent(state["first_seq"], state["last_seq"])
        except BusError as error:
            if not await patience.lasts():
                raise RecordUnreadable(
                    error.problem, place=EVENT_STREAM, cure=error.cure
                ) from error


async def read_stream(bus: Bus, span: Extent, progress: Progress) -> AsyncIterator[Stored]:
    """Every message of the record in order. Raises RecordUnreadable when the bus gives up on it."""

    def unreadable(following: int, error: Exception) -> RecordUnreadable:
        return RecordUnreadable(
            f"reading stopped at message {following} of {span.last}: {error!r}",
            place=EVENT_STREAM,
            cure="check `nats stream info HA_EVENTS`: has it a leader? Then try again",
        )

    async for sequence, raw in stored_messages(bus, unreadable, first=span.first, last=span.last):
        yield Stored(f"{EVENT_STREAM} message {sequence}", raw)
        progress(sequence + 1 - span.first, span.last - span.first + 1)


async def read_file(path: Path, progress: Progress) -> AsyncIterator[Stored]:
    """Every line of a file that `holdfast events --json` wrote. Raises RecordUnreadable."""
    try:
        total = (await aiofiles.os.stat(path)).st_size
        async with aiofiles.open(path, "rb") as file:
            number = 0
            while line := await file.readline(MAX_EVENT_BYTES + 2):
                number += 1
                if line.strip():
                    yield Stored(f"{path.name}:{number}", line.strip())
                progress(await file.tell(), total)
    except OSError as error:
        raise RecordUnreadable(
            f"cannot be read: {error.strerror}", place=str(path), cure="check its name and mode"
        ) from error


async def read_events(bus: Bus, progress: Progress) -> list[Envelope]:
    """The record as envelopes, for showing; what is none is left to `audit verify` to report."""
    found: list[Envelope] = []
    async for stored in read_stream(bus, await extent(bus), progress):
        try:
            found.append(decode_envelope(stored.raw, place=stored.place))
        except MalformedEvent:
            continue
    return found
