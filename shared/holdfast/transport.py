"""The TCP (or TLS) connection under the bus: it fails fast and never delivers late.

Whatever was written while the network was cut must die with the connection. A plain socket keeps
it in the kernel's buffer and delivers it when the cut heals, seconds after the caller was told of
a time-out; a stale order could then be carried out. Measured: see docs/design/contracts.md.
"""

import asyncio
import socket
import ssl
import struct
from urllib.parse import ParseResult

from nats.aio.client import Client
from nats.aio.transport import TcpTransport

USER_TIMEOUT_MS = 3000
"""How long sent bytes may stay unacknowledged before the kernel drops the connection."""

_LINGER_RESET = struct.pack("ii", 1, 0)


class AbortingTransport(TcpTransport):
    """nats-py's TCP transport, closed by a reset, and emptied of everything not yet sent."""

    def __init__(self, client: Client, local: str | None = None) -> None:
        """`local`: the address of this machine to connect from; it chooses the network."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._client = client
        self._local = (local, 0) if local else None

    def __bool__(self) -> bool:
        # nats-py makes its own transport unless the one it has is true, connected or not.
        return True

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open a fresh connection. nats-py forgets the last one when its handshake failed."""
        self.close()
        async with asyncio.timeout(connect_timeout):
            reader, writer = await asyncio.open_connection(
                uri.hostname, uri.port, limit=buffer_size, local_addr=self._local
            )
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        """Upgrade to TLS, against the first writer, whatever it was upgraded to before."""
        self._io_writer = self._bare_io_writer
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        assert self._io_writer is not None
        # asyncio sets this when it makes the protocol itself; else every end of file is a warning.
        self._io_writer.transport.get_protocol()._over_ssl = True  # type: ignore[attr-defined]

    def close(self) -> None:
        """Reset the connection; drop what it and the client still hold."""
        for writer in (self._io_writer, self._bare_io_writer):
            if writer is not None:
                writer.transport.abort()
        self._client._pending.clear()
        self._client._pending_data_size = 0

    async def wait_closed(self) -> None:
        """Let the event loop run the abort. Unlike a TLS shutdown it needs no answer."""
        await asyncio.sleep(0)
