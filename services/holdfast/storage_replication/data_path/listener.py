"""Takes connections of other members' data paths."""

import asyncio
import logging
from typing import Protocol

from holdfast.storage_replication.data_path.link import LinkConnection
from holdfast.storage_replication.data_path.link_tls import LinkTls
from holdfast.storage_replication.engine import accepting
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.nbd.server import CannotListen

MAX_LINKS = 16
HANDSHAKE = 10.0
"""Seconds for TLS, and then until HELLO."""

_log = logging.getLogger("holdfast.links")


class Followed(Protocol):
    """What takes the frames: the node as a replica."""

    def from_primary(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None: ...
    def acknowledge(self) -> None: ...
    def primary_gone(self, link: LinkConnection) -> None: ...


class Listener:
    """The `Ends` of up to MAX_LINKS connections that others made."""

    def __init__(self, node: Followed) -> None:
        self._node = node
        self._silent: dict[LinkConnection, asyncio.TimerHandle | None] = {}
        """Every connection, with its deadline for HELLO."""
        self._server: asyncio.Server

    async def listen(self, host: str, port: int, tls: LinkTls | None) -> int:
        """The port. Raises CannotListen."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: LinkConnection(self),
                host,
                port,
                reuse_address=True,
                ssl=tls.accepting if tls else None,
                ssl_handshake_timeout=HANDSHAKE if tls else None,
            )
        except OSError as error:
            raise CannotListen(
                f"cannot listen: {error.strerror}",
                place=f"{host}:{port}",
                cure="stop what listens there, or give an address of this machine and a free port",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take nobody new, and part with everybody."""
        self._server.close()
        for link in list(self._silent):
            link.close()

    def up(self, link: LinkConnection) -> None:
        """Part with it if it is one too many, or says nothing."""
        if len(self._silent) >= MAX_LINKS:
            _log.warning("a connection was refused: there are %d", len(self._silent))
            link.close()
            return
        loop = asyncio.get_running_loop()
        self._silent[link] = loop.call_later(HANDSHAKE, link.close)

    def frame(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """Whoever says HELLO as a primary has to be that place."""
        if frame.kind is Kind.HELLO:
            hello, name = accepting.parse(payload), link.certified
            if name is not None and (hello is None or hello.primary != name):
                _log.error("%r says that it is %s: refused", name, hello and hello.primary)
                link.close()
                return
            self._cancel(link)
            self._silent[link] = None
        self._node.from_primary(link, frame, payload)

    def batch_over(self, link: LinkConnection) -> None:
        """Tell what was applied."""
        self._node.acknowledge()

    def down(self, link: LinkConnection) -> None:
        """It counts no more."""
        self._cancel(link)
        self._silent.pop(link, None)
        self._node.primary_gone(link)

    def _cancel(self, link: LinkConnection) -> None:
        timer = self._silent.get(link)
        if timer is not None:
            timer.cancel()
