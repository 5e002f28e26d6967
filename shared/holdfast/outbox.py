"""The outbox: events go to disk at once, and to the bus in order, once each, when it takes them.

`emit` seals and spools synchronously. One background task makes spooled events durable, publishes
them one at a time through JetStream with the event's id as Nats-Msg-Id, and repeats each until it
is acknowledged; the server drops the duplicates that this makes. Nats-Expected-Last-Msg-Id is
never sent: on nats-server 2.15 one mismatch makes a replicated stream unwritable for good.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import aiofiles
import aiofiles.os

from holdfast import clock, jetstream, subjects
from holdfast.bus import Bus, BusError
from holdfast.events import (
    CONTENT_TYPE,
    MAX_EVENT_BYTES,
    Draft,
    Envelope,
    MalformedEvent,
    encode_envelope,
    seal,
)
from holdfast.events.chain import head_after
from holdfast.spool import Spool, SpoolFull
from holdfast.spool_reader import decode_line, open_spool
from holdfast.telemetry import traceparent

ACK_TIMEOUT = 5.0
BATCH_BYTES = 1024 * 1024
COMPLAIN_AT = (1, 10, 100, 1000)
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)
_log = logging.getLogger("holdfast.outbox")


class Outbox:
    """One producer's way into the record. `source` is /<cluster>/<place>/<service>."""

    def __init__(
        self,
        folder: Path,
        *,
        source: str,
        bus: Bus,
        observe: Callable[[Envelope, Draft], None] | None = None,
    ) -> None:
        """Open the spool in `folder`. Raises SpoolError. Files set aside are in `set_aside`."""
        self._spool, self.set_aside = open_spool(folder)
        self._source, self._bus, self._observe = source, bus, observe
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._full_said = False
        self._read: tuple[Path, int] = (folder, 0)
        self._note_depth()

    @property
    def depth(self) -> int:
        """Events on disk that the stream has not acknowledged."""
        return self._spool.depth

    def emit(self, draft: Draft) -> Envelope:
        """Seal an event and write it to disk; it is published later, whatever happens to us.

        Raises SpoolFull or SpoolError (nothing was recorded), MalformedEvent when it is too large.
        """
        envelope, _ = seal(
            draft,
            self._spool.head,
            source=self._source,
            time=clock.wall_time(),
            traceparent=traceparent(draft),
        )
        raw = encode_envelope(envelope)
        if len(raw) > MAX_EVENT_BYTES:
            raise MalformedEvent(
                f"{len(raw)} bytes, more than the {MAX_EVENT_BYTES} allowed",
                place=f"event {envelope.type}",
                cure="this is a defect of the service that emits it: please report it",
            )
        self._append(envelope, raw)
        self._empty.clear()
        self._work.set()
        if self._observe is not None:
            self._observe(envelope, draft)
        return envelope

    async def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until everything is acknowledged; False if it is not."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Publish what is spooled, for ever. Raises SpoolError when the disk fails."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self.depth:
                await self._publish_batch()
            await _sync(self._spool)
            self._note_depth()

    def close(self) -> None:
        """Close the files; call it when `run` has ended."""
        self._spool.close()

    def _note_depth(self) -> None:
        if self.depth:
            self._work.set()
        else:
            self._empty.set()

    def _append(self, envelope: Envelope, raw: bytes) -> None:
        try:
            self._spool.append(envelope, raw)
        except SpoolFull as error:
            if not self._full_said:
                _log.critical("events are no longer recorded: %s", error)
            self._full_said = True
            raise
        self._full_said = False

    async def _publish_batch(self) -> None:
        durable = self._spool.head.sequence
        await _sync(self._spool)
        for line in await self._read_batch():
            envelope, raw = decode_line(line, str(self._read[0]))
            sequence = int(envelope.sequence)
            if sequence > durable:
                return
            if sequence > self._spool.cursor.head.sequence:
                await self._publish(envelope, raw)
                self._spool.acknowledge(head_after(envelope))
            self._read = (self._read[0], self._read[1] + len(line) + 1)

    async def _read_batch(self) -> list[bytes]:
        acknowledged = self._spool.cursor.head.sequence
        segment = next(part for part in self._spool.segments if part.last > acknowledged)
        if segment.path != self._read[0]:
            self._read = (segment.path, 0)
        offset = self._read[1]
        async with aiofiles.open(segment.path, "rb") as file:
            await file.seek(offset)
            raw = await file.read(min(BATCH_BYTES, segment.size - offset))
        return raw.split(b"\n")[:-1]

    async def _publish(self, envelope: Envelope, raw: bytes) -> None:
        subject = subjects.event(event_token(envelope.type))
        headers = {"Nats-Msg-Id": envelope.id, "Content-Type": CONTENT_TYPE}
        attempt = 0
        while True:
            await self._bus.ready.wait()
            try:
                await jetstream.publish(
                    self._bus, subject, raw, headers=headers, timeout=ACK_TIMEOUT
                )
                return
            except BusError as error:
                if attempt in COMPLAIN_AT:
                    _log.warning("event %s not acknowledged, trying on: %s", envelope.id, error)
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1


def event_token(type_name: str) -> str:
    """The subject token of a CloudEvents type: holdfast.<token>.v<n>."""
    return type_name.split(".")[1]


_sync = aiofiles.os.wrap(Spool.sync)
