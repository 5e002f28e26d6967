"""The connection to the cluster's nats-servers: live, or refused at once; nothing is buffered."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from holdfast.bus_errors import BusTimeout, BusUnavailable
from holdfast.transport import AbortingTransport

MAX_UNSENT_BYTES = 1024 * 1024
COMPLAIN_AFTER = 3.0
_log = logging.getLogger("holdfast.bus")


class Connection:
    """One connection to the cluster's nats-servers, in the order given."""

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
        """`local`: the address of this machine to connect from; default the kernel's choice."""
        self.servers = list(servers)
        self.ready = asyncio.Event()
        """Set while connected."""
        self.on_connected: list[Callable[[], None]] = []
        self.on_disconnected: list[Callable[[], None]] = []
        self.on_fault: Callable[[BaseException], None] = _log_fault
        """Called when a handler raised or the connection ended for good: the service must end."""
        self.client = Client()
        self._transport = AbortingTransport(self.client, local)
        self._name, self._inbox, self._seed, self._tls = name, inbox, seed, tls
        self._server = ""
        self._last_error: Exception | None = None
        self._started = self._closing = False

    @property
    def connected(self) -> bool:
        """Whether a message sent now goes to a server."""
        return self.client.is_connected

    def jetstream(self, *, timeout: float = 5.0) -> JetStreamContext:
        """nats-py's JetStream context on this connection. `timeout` in seconds per call."""
        return self.client.jetstream(timeout=timeout)

    # --- the connection ----------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect; returns once connected, however long it takes. Says so once if it is long."""
        self.client._transport = self._transport
        self._started = True
        complaint = asyncio.get_running_loop().call_later(COMPLAIN_AFTER, self._complain)
        try:
            await self.client.connect(
                self.servers,
                name=self._name,
                inbox_prefix=self._inbox,
                nkeys_seed=str(self._seed) if self._seed else None,
                tls=self._tls,
                dont_randomize=True,
                pending_size=-1,
                ping_interval=1,
                max_outstanding_pings=2,
                connect_timeout=1,
                reconnect_time_wait=0.1,  # type: ignore[arg-type]
                max_reconnect_attempts=-1,
                error_cb=self._error,
                disconnected_cb=self._disconnected,
                reconnected_cb=self._reconnected,
                closed_cb=self._closed,
            )
        finally:
            complaint.cancel()
        await self._reconnected()

    async def close(self, timeout: float = 1.0) -> None:
        """Send what was handed over, within `timeout` seconds, and disconnect."""
        self._closing = True
        if not self._started:
            return
        try:
            async with asyncio.timeout(timeout):
                if self.connected:
                    await self.client.flush(timeout)  # type: ignore[arg-type]
                await self.client.close()
        except (TimeoutError, nats.errors.Error):
            _log.warning("the bus did not take everything before it was closed")
        self._transport.close()

    def _complain(self) -> None:
        _log.error(
            "no connection to the bus yet, trying on: servers %s, last error: %r. "
            "Check that nats-server runs there, the addresses and ports in the cluster file, "
            "and that this service's key is known to it",
            ", ".join(self.servers),
            self._last_error,
        )

    async def _error(self, error: Exception) -> None:
        self._last_error = error
        if self.ready.is_set():
            _log.warning("bus: %r", error)

    async def _reconnected(self) -> None:
        url = self.client.connected_url
        self._server = url.netloc if url else "?"
        _log.info("connected to the bus at %s", self._server)
        self.ready.set()
        for callback in self.on_connected:
            callback()

    async def _disconnected(self) -> None:
        if not self.ready.is_set():
            return
        self.ready.clear()
        if not self._closing:
            _log.warning("disconnected from the bus at %s", self._server)
        for waiting in list(self.client._resp_map.values()):
            if not waiting.done():
                waiting.set_exception(nats.errors.StaleConnectionError())
        for callback in self.on_disconnected:
            callback()
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(self._reconnecting_ended)

    def _reconnecting_ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.on_fault(error)

    async def _closed(self) -> None:
        if not self._closing:
            self.on_fault(
                BusUnavailable(
                    f"the bus closed the connection for good: {self.client.last_error!r}",
                    place=self._name,
                    cure="see the log of nats-server; is this service's key still known to it?",
                )
            )

    # --- requests in raw bytes, for JetStream ---

    async def call(
        self,
        subject: str,
        payload: bytes,
        *,
        timeout: float,
        headers: dict[str, str] | None = None,
    ) -> Msg:
        """A request in raw bytes, for JetStream. Raises BusUnavailable or BusTimeout."""
        self.require_connection(subject)
        try:
            return await self.client.request(subject, payload, timeout=timeout, headers=headers)
        except (nats.errors.TimeoutError, nats.errors.StaleConnectionError) as error:
            raise BusTimeout(
                "no answer in time; whether the request had its effect is unknown",
                place=subject,
                cure="it is repeated where that is safe; else look at the receiver's log",
            ) from error
        except nats.errors.Error as error:
            raise unavailable(subject, error) from error

    def require_connection(self, subject: str) -> None:
        """Raise BusUnavailable unless a message sent now goes straight to a server."""
        if not self.connected or self.client.pending_data_size > MAX_UNSENT_BYTES:
            raise BusUnavailable(
                "not connected to the bus",
                place=subject,
                cure=f"is nats-server running at one of {', '.join(self.servers)}?",
            )


def unavailable(subject: str, error: Exception) -> BusUnavailable:
    """The message was refused before it left, or nobody listens."""
    return BusUnavailable(
        f"not delivered: {error!r}", place=subject, cure="is the service that answers it running?"
    )


def _log_fault(error: BaseException) -> None:
    _log.critical("the bus failed: %r", error, exc_info=error)
