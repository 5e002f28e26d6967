"""Reading the whole record, from the stream or from a file of one event a line."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import aiofiles
import aiofiles.os
import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from holdfast import jetstream
from holdfast.bus import Bus, BusError
from holdfast.console.patience import Patience
from holdfast.errors import HoldfastError
from holdfast.events import MAX_EVENT_BYTES, Envelope, MalformedEvent, decode_envelope
from holdfast.subjects import EVENT_STREAM, EVENTS

BATCH = 500
FETCH_TIMEOUT = 5.0
FORGET_AFTER = 30.0

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
            state = (await jetstream.api(bus, call, {}, timeout=FETCH_TIMEOUT))["state"]
            return Extent(state["first_seq"], state["last_seq"])
        except BusError as error:
            if not await patience.lasts():
                raise RecordUnreadable(
                    error.problem, place=EVENT_STREAM, cure=error.cure
                ) from error


async def read_stream(bus: Bus, span: Extent, progress: Progress) -> AsyncIterator[Stored]:
    """Every message of the record in order. Raises RecordUnreadable when the bus gives up on it."""
    following, patience = span.first, Patience()
    while following <= span.last:
        try:
            async for sequence, raw in _from(bus, following, span.last):
                following = sequence + 1
                patience.renew()
                yield Stored(f"{EVENT_STREAM} message {sequence}", raw)
                progress(following - span.first, span.last - span.first + 1)
        except nats.errors.Error as error:
            # The consumer's server may have gone: another one continues where this one ended.
            if not await patience.lasts():
                raise RecordUnreadable(
                    f"reading stopped at message {following} of {span.last}: {error!r}",
                    place=EVENT_STREAM,
                    cure="check `nats stream info HA_EVENTS`: has it a leader? Then try again",
                ) from error


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


async def _from(bus: Bus, first: int, last: int) -> AsyncIterator[tuple[int, bytes]]:
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=first,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=FORGET_AFTER,
        mem_storage=True,
        num_replicas=1,
    )
    js = bus.jetstream(timeout=FETCH_TIMEOUT)
    subscription = await js.pull_subscribe(EVENTS, stream=EVENT_STREAM, config=config)
    try:
        at = first - 1
        while at < last:
            for message in await subscription.fetch(min(BATCH, last - at), timeout=FETCH_TIMEOUT):
                at = message.metadata.sequence.stream
                yield at, message.data
    finally:
        if bus.connected:
            await subscription.unsubscribe()
