"""A connection to another member's data path: bytes between a socket and the engine's frames."""

import asyncio
import logging
import ssl
from typing import Any, Protocol, cast

from holdfast.storage_replication.engine.frames import (
    MAX_PAYLOAD,
    SIZE,
    Frame,
    FrameError,
    Kind,
    parse,
)
from holdfast.storage_replication.receive_buffer import ReceiveBuffer
from holdfast.storage_replication.sockets import JOIN_UP_TO, Liveness, tune

BUFFER = MAX_PAYLOAD + (256 << 10)
LIMIT = 96 << 20
"""Bytes that the other side has not taken; more ends the connection. Above `Settings.window`."""
LIVENESS = Liveness(idle=2, every=1, tries=5, unsent=10)

_log = logging.getLogger("holdfast.links")


class Ends(Protocol):
    """Who is told. Nothing comes after `down`."""

    def up(self, link: "LinkConnection") -> None:
        """It is open, TLS included."""
        ...

    def frame(self, link: "LinkConnection", frame: Frame, payload: memoryview) -> None:
        """In the order of sending. `payload` is valid only during the call."""
        ...

    def batch_over(self, link: "LinkConnection") -> None:
        """After the frames that came together."""
        ...

    def down(self, link: "LinkConnection") -> None:
        """It is gone, also after `close`."""
        ...


class LinkConnection(asyncio.BufferedProtocol):
    """A `Link`. Whatever is wrong with it ends it."""

    def __init__(self, ends: Ends, limit: int = LIMIT) -> None:
        self._ends = ends
        self._limit = limit
        self._buffer = ReceiveBuffer(BUFFER)
        self._transport: asyncio.Transport
        self._output: list[bytes] = []
        self._unsent = 0
        """Bytes in `_output`."""
        self._receiving = False
        """`_flush` comes when what has arrived is dealt with."""
        self._loop = asyncio.get_running_loop()
        self.closed = False

    # --- called by the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tune the socket, tell the owner."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no such base
        tune(self._transport, LIVENESS)
        self._ends.up(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where input goes."""
        return self._buffer.space()

    def buffer_updated(self, nbytes: int) -> None:
        """Input has come."""
        self._buffer.filled(nbytes)
        self._take()

    def _take(self) -> None:
        buffer = self._buffer
        self._receiving = True
        try:
            while not self.closed and (found := parse(buffer.data)) is not None:
                frame, payload = found
                buffer.consume(SIZE + len(payload))
                self._ends.frame(self, frame, payload)
                if frame.kind is Kind.HASHES and not self.closed:
                    # Comparing took a while: clients come before what is next.
                    self._transport.pause_reading()
                    self._loop.call_soon(self._go_on)
                    break
        except FrameError as error:
            _log.warning("a connection of another member is closed: %s", error)
            self.close()
        if not self.closed:
            self._ends.batch_over(self)
        self._receiving = False
        self._flush()

    def _go_on(self) -> None:
        if not self.closed:
            self._transport.resume_reading()
            self._take()

    def eof_received(self) -> bool:
        """Nobody half-closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self.closed = True
        self._ends.down(self)

    # --- called by the engine ---

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        """As `Link.send`. What is not taken is bounded: above the limit, the connection ends."""
        if self.closed:
            return
        if not (at_once or self._output or self._receiving):
            # What one turn of the loop brings leaves in one system call.
            self._loop.call_soon(self._flush)
        self._output.append(frame)
        if payload:
            self._output.append(bytes(payload))  # its memory is its owner's
        self._unsent += len(frame) + len(payload)
        if self._transport.get_write_buffer_size() + self._unsent > self._limit:
            _log.warning("a member takes too little: its connection is closed")
            self.close()
        elif at_once:
            self._flush()

    def close(self) -> None:
        """As `Link.close`: at once, what was not sent is dropped."""
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def _flush(self) -> None:
        output, self._output = self._output, []
        unsent, self._unsent = self._unsent, 0
        if not output or self.closed:
            return
        if unsent > JOIN_UP_TO:
            self._transport.writelines(output)
        else:
            self._transport.write(b"".join(output))

    @property
    def certified(self) -> str | None:
        """The common name in the other side's certificate; None: there is no TLS."""
        tls = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return None
        return common_name(tls)


def common_name(tls: ssl.SSLObject) -> str:
    """Of the other side's certificate; empty if there is none."""
    subject: Any = (tls.getpeercert() or {}).get("subject", ())
    names = (value for part in subject for key, value in part if key == "commonName")
    return str(next(names, ""))
