"""One client's connection: bytes between its socket and the negotiation or the session."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Protocol, cast

from holdfast.nbd_protocol import greeting
from holdfast.storage_replication.interfaces import Volume
from holdfast.storage_replication.nbd.negotiation import Negotiation, Next, Step, Tls
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.output import Piece
from holdfast.storage_replication.nbd.session import Session
from holdfast.storage_replication.receive_buffer import ReceiveBuffer
from holdfast.storage_replication.sockets import Liveness, tune

NEGOTIATION_DEADLINE = 10.0
"""Seconds until a connection must have reached transmission, TLS included."""
HIGH_WATER = 1024 * 1024
"""Bytes that a client has not taken, above which nothing more of it is parsed."""
LIVENESS = Liveness(idle=30, every=10, tries=3, unsent=60)

_log = logging.getLogger("holdfast.nbd")


class Host(Protocol):
    """What a connection needs of its server."""

    def opened(self, connection: "Connection") -> bool:
        """Whether there is room for one more."""
        ...

    def closed(self, connection: "Connection") -> None:
        """It takes no room any more."""
        ...


class Connection(asyncio.BufferedProtocol):
    """A client. All that it can do wrong ends with this connection."""

    def __init__(
        self, export: Export, volume: Volume, host: Host, tls: ssl.SSLContext | None
    ) -> None:
        self._export, self._volume, self._host, self._tls = export, volume, host, tls
        self._negotiation = Negotiation(export, Tls.REQUIRED if tls else Tls.NOT_OFFERED)
        self._session: Session | None = None
        self._buffer = ReceiveBuffer()
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None
        self._upgrade: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._reading = True
        self._woken = False
        self._closed = False

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, if the server has room."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no such base
        if not self._host.opened(self):
            self._closed = True
            self._transport.abort()
            return
        tune(self._transport, LIVENESS)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._deadline = self._loop.call_later(NEGOTIATION_DEADLINE, self._too_slow)
        self._transport.write(greeting())

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where input goes."""
        return self._buffer.space()

    def buffer_updated(self, nbytes: int) -> None:
        """Input has come."""
        self._buffer.filled(nbytes)
        self._parse()

    def pause_writing(self) -> None:
        """The client takes too little: leave its requests alone."""
        if self._session is not None:
            self._session.paused = True

    def resume_writing(self) -> None:
        """The client has taken most."""
        if self._session is not None:
            self._session.paused = False
            self.wake()

    def eof_received(self) -> bool:
        """A client that sends no more wants no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever is in flight goes on without it."""
        self._over()

    # --- called by the session ---------------------------------------------------------------

    def write(self, pieces: Sequence[Piece]) -> None:
        """Send; what the client does not take is bounded by the session."""
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)

    def wake(self) -> None:
        """Parse again soon."""
        if not self._woken and not self._closed:
            self._woken = True
            self._loop.call_soon(self._awake)

    def close(self) -> None:
        """Send what was written, then close; one that takes nothing is cut off."""
        if not self._transport.is_closing():
            self._transport.close()
            self._deadline = self._loop.call_later(NEGOTIATION_DEADLINE, self.abort)

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    # --- called by the server ----------------------------------------------------------------

    @property
    def served(self) -> bool:
        """Whether it has negotiated all, and so shown its certificate if it must."""
        return self._session is not None

    def end(self) -> None:
        """Answer what is in flight, then close."""
        if self._session is None:
            self.abort()
        else:
            self._session.end()

    # -----------------------------------------------------------------------------------------

    def _awake(self) -> None:
        self._woken = False
        if not self._closed:
            self._parse()

    def _parse(self) -> None:
        while self._session is None:
            step = self._negotiation.receive(self._buffer.data)
            if step is None:
                return
            self._buffer.consume(step.consumed)
            if step.reply:
                self._transport.write(step.reply)
            if not self._go_on(step):
                return
        self._buffer.consume(self._session.receive(self._buffer.data))
        self._read_or_not(wanted=not self._session.stalled)

    def _read_or_not(self, *, wanted: bool) -> None:
        if wanted is self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _go_on(self, step: Step) -> bool:
        """Whether to parse what is left."""
        if step.next is Next.OPTIONS:
            return True
        if step.next is Next.TRANSMISSION:
            self._cancel_deadline()
            self._session = Session(
                self._export,
                self._volume,
                self,
                structured=self._negotiation.structured,
                allocation=self._negotiation.allocation,
            )
            return True
        if step.next is Next.CLOSE or len(self._buffer.data):
            # What follows STARTTLS in the clear may be somebody else's, put in before TLS begins.
            self._cancel_deadline()
            self.close()
        else:
            self._transport.pause_reading()
            self._upgrade = self._loop.create_task(self._start_tls())
        return False

    async def _start_tls(self) -> None:
        assert self._tls is not None
        if self._transport.is_closing():  # cut off before its turn came
            self._over()
            return
        try:
            upgraded = await self._loop.start_tls(
                self._transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=NEGOTIATION_DEADLINE,
            )
        except (OSError, TimeoutError) as error:
            _log.info("TLS with a client failed: %s", error)
            self._transport.abort()
            self._over()
            return
        if upgraded is None or self._closed:
            self._transport.abort()
            self._over()
            return
        self._transport = upgraded
        upgraded.set_write_buffer_limits(high=HIGH_WATER)
        self._negotiation.tls_started()

    def _too_slow(self) -> None:
        _log.info("a client did not finish its negotiation within %s s", NEGOTIATION_DEADLINE)
        self.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _over(self) -> None:
        self._cancel_deadline()
        if self._closed:
            return
        self._closed = True
        if self._session is not None:
            self._session.lost()
        self._host.closed(self)
