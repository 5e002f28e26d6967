"""Where NBD clients find the volume, while this member is its primary."""

import ssl
from pathlib import Path

from holdfast.storage_replication.interfaces import Volume
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.server import Server


class Door:
    """Closed until `open`."""

    def __init__(
        self,
        name: str,
        unix: Path | None,
        tcp: tuple[str, int] | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._name, self._unix, self._tcp, self._tls = name, unix, tcp, tls
        self._server: Server | None = None
        self.port = 0
        """For TCP clients; 0: there is none."""

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._server.connections if self._server is not None else 0

    async def open(self, volume: Volume) -> None:
        """Raises CannotListen; `cut` comes next then."""
        server = Server(Export(name=self._name, size=volume.size), volume)
        self._server = server
        try:
            if self._unix is not None:
                await server.listen_unix(self._unix)
            if self._tcp is not None:
                self.port = await server.listen_tcp(*self._tcp, self._tls)
        finally:
            if self._server is not server:  # cut meanwhile
                server.abort()

    def resize(self, size: int) -> None:
        """What clients are told that connect from now on."""
        if self._server is not None:
            self._server.resize(size)

    def cut(self) -> None:
        """Everybody is disconnected now, unanswered: they may come back and repeat."""
        if self._server is not None:
            self._server.abort()
            self._closed()

    async def close(self, deadline: float) -> None:
        """Answer what is in flight, for up to `deadline` seconds."""
        if self._server is not None:
            await self._server.close(deadline)
            self._closed()

    def _closed(self) -> None:
        self._server, self.port = None, 0
