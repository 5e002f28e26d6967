"""The bus: typed messages over NATS, at once or not at all.

Nothing is buffered. A message is handed to a live connection or refused with BusUnavailable; what
a broken connection still held is dropped with it (`holdfast.transport`). Every request has a
deadline. Received messages are decoded here; those that do not decode go to `reject` and no
further.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, overload

import msgspec
import nats.errors
from nats.aio.msg import Msg

from holdfast.bus_errors import BadReply, BusError, BusTimeout, BusUnavailable, MessageTooLarge
from holdfast.connection import Connection, unavailable
from holdfast.messages import Bad, decode
from holdfast.wire import MAX_MESSAGE_BYTES

__all__ = ["BadReply", "Bus", "BusError", "BusTimeout", "BusUnavailable", "MessageTooLarge"]

T = TypeVar("T")
Reject = Callable[[str, str, str], None]

MAX_CONCURRENT = 64
FLUSH_TIMEOUT = 10
MAX_QUEUED_MESSAGES = 4096
MAX_QUEUED_BYTES = 16 * 1024 * 1024
_log = logging.getLogger("holdfast.bus")


class Bus(Connection):
    """Typed messages on one connection."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        name: str,
        inbox: str = "_INBOX",
        seed: Path | None = None,
        tls: ssl.SSLContext | None = None,
        local: str | None = None,
    ) -> None:
        super().__init__(servers, name=name, inbox=inbox, seed=seed, tls=tls, local=local)
        self.reject: Reject = _log_reject
        """Where bad messages go: subject, kind, reason."""
        self._handlers: set[asyncio.Task[None]] = set()

    async def publish(self, subject: str, message: msgspec.Struct) -> None:
        """Send without an answer. Raises BusUnavailable at once when not connected."""
        payload = self._encode(subject, message)
        self.require_connection(subject)
        try:
            await self.client.publish(subject, payload)
        except nats.errors.Error as error:
            raise unavailable(subject, error) from error

    @overload
    async def request(
        self, subject: str, message: msgspec.Struct, reply: type[T], *, timeout: float
    ) -> T: ...
    @overload
    async def request(
        self, subject: str, message: msgspec.Struct, reply: UnionType, *, timeout: float
    ) -> Any: ...
    async def request(
        self, subject: str, message: msgspec.Struct, reply: Any, *, timeout: float
    ) -> Any:
        """Ask and wait `timeout` seconds. Raises BusUnavailable, BusTimeout or BadReply."""
        answer = await self.call(subject, self._encode(subject, message), timeout=timeout)
        decoded = decode(answer.data, msgspec.json.Decoder(reply))
        if isinstance(decoded, Bad):
            self.reject(subject, decoded.kind, decoded.reason)
            raise BadReply(decoded.reason, place=subject, cure="run one version on every place")
        return decoded

    def _encode(self, subject: str, message: msgspec.Struct) -> bytes:
        payload = msgspec.json.encode(message)
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(
                f"{type(message).__name__} of {len(payload)} bytes, {MAX_MESSAGE_BYTES} allowed",
                place=subject,
                cure="this is a defect of the sender: please report it",
            )
        return payload

    async def flush(self) -> None:
        """Return when the server has taken in all that was sent before, subscriptions too."""
        for _ in range(2):  # nats-py puts its PING before what it still holds: the second is behind
            await self.client.flush(FLUSH_TIMEOUT)

    async def subscribe(
        self, subject: str, kind: type[T] | UnionType, handler: Callable[[T], None]
    ) -> None:
        """Call `handler` for every message of `subject`, one after another."""
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

        async def receive(message: Msg) -> None:
            decoded = self._accept(message, decoder)
            if decoded is not None:
                try:
                    handler(decoded)
                except Exception as error:
                    self.on_fault(error)

        await self._listen(subject, receive)

    async def serve(
        self,
        subject: str,
        kind: type[T] | UnionType,
        handler: Callable[[T], Awaitable[msgspec.Struct | None]],
    ) -> None:
        """Answer every request of `subject`; up to MAX_CONCURRENT at a time. None: no reply."""
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        slots = asyncio.Semaphore(MAX_CONCURRENT)

        async def answer(message: Msg, request: T) -> None:
            try:
                reply = await handler(request)
                if reply is not None and message.reply:
                    await self.publish(message.reply, reply)
            except BusUnavailable:
                pass  # the asker hears nothing and asks again
            except Exception as error:
                self.on_fault(error)
            finally:
                slots.release()

        async def receive(message: Msg) -> None:
            decoded = self._accept(message, decoder)
            if decoded is not None:
                await slots.acquire()
                task = asyncio.create_task(answer(message, decoded))
                self._handlers.add(task)
                task.add_done_callback(self._handlers.discard)

        await self._listen(subject, receive)

    async def _listen(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> None:
        await self.client.subscribe(
            subject,
            cb=receive,
            pending_msgs_limit=MAX_QUEUED_MESSAGES,
            pending_bytes_limit=MAX_QUEUED_BYTES,
        )

    def _accept(self, message: Msg, decoder: msgspec.json.Decoder[T]) -> T | None:
        decoded = decode(message.data, decoder)
        if isinstance(decoded, Bad):
            self.reject(message.subject, decoded.kind, decoded.reason)
            return None
        return decoded


def _log_reject(subject: str, kind: str, reason: str) -> None:
    _log.warning("rejected a %s message on %s: %s", kind, subject, reason)
