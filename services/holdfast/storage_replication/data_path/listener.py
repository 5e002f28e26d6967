"""Takes connections of other members' data paths."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol, cast

from holdfast.storage_replication.data_path.link import LinkConnection
from holdfast.storage_replication.data_path.link_tls import LinkTls
from holdfast.storage_replication.engine import accepting
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.nbd.server import CannotListen

MAX_LINKS = 16
"""Also of those that are still in their handshake of TLS."""
HANDSHAKE = 10.0
"""Seconds for TLS, and then until a HELLO was accepted."""

_log = logging.getLogger("holdfast.links")


class Followed(Protocol):
    """What takes the frames: the node as a replica."""

    def from_primary(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None: ...
    def follows(self, link: LinkConnection) -> bool: ...
    def acknowledge(self) -> None: ...
    def primary_gone(self, link: LinkConnection) -> None: ...


@dataclass(slots=True)
class Guest:
    """A connection. `deadline`: until its HELLO must be accepted; None: it was."""

    deadline: asyncio.TimerHandle | None
    greeted: bool = False


class Arrival(asyncio.Protocol):
    """A connection before TLS: whoever it is may be nobody of ours, and takes little."""

    def __init__(self, listener: "Listener", tls: ssl.SSLContext) -> None:
        self._listener, self._tls = listener, tls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is read in the clear: TLS gets the socket before this transport reads of it.

        `start_tls` would be too late: uvloop reads as soon as this returns, and what the other side
        sends at once, the first of its handshake, would be lost.
        """
        made = cast("asyncio.Transport", transport)  # uvloop's has no such base
        own = socket.socket(fileno=os.dup(made.get_extra_info("socket").fileno()))
        own.setblocking(False)
        made.abort()
        self._listener.arrived(own, self._tls)


class Listener:
    """The `Ends` of up to MAX_LINKS connections that others made.

    One more takes the place of the one that has waited longest to be accepted: so whoever holds
    many, and has nothing to say, keeps no primary away.
    """

    def __init__(self, node: Followed) -> None:
        self._node = node
        self._guests: dict[LinkConnection, Guest] = {}
        self._arriving: dict[asyncio.Task[None], socket.socket] = {}
        self._server: asyncio.Server

    async def listen(self, host: str, port: int, tls: LinkTls | None) -> int:
        """The port. Raises CannotListen."""

        def made() -> asyncio.BaseProtocol:
            return LinkConnection(self) if tls is None else Arrival(self, tls.accepting)

        try:
            self._server = await asyncio.get_running_loop().create_server(
                made, host, port, reuse_address=True
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
        for arriving in self._arriving.values():
            _give_up(arriving)
        for link in list(self._guests):
            link.close()

    def arrived(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """It has to show who it is."""
        if len(self._arriving) >= MAX_LINKS:
            _log.warning("of %d handshakes the oldest is given up", len(self._arriving))
            task, oldest = next(iter(self._arriving.items()))
            del self._arriving[task]
            _give_up(oldest)
        task = asyncio.get_running_loop().create_task(self._start_tls(sock, tls))
        self._arriving[task] = sock
        task.add_done_callback(lambda done: self._arriving.pop(done, None))

    async def _start_tls(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: LinkConnection(self), sock, ssl=tls, ssl_handshake_timeout=HANDSHAKE
            )
        except (OSError, TimeoutError) as error:
            _log.info("TLS with who may be a member failed: %s", error)

    def up(self, link: LinkConnection) -> None:
        """Part with it, or with another one, if it is one too many."""
        if len(self._guests) >= MAX_LINKS:
            waits = (one for one, guest in self._guests.items() if guest.deadline is not None)
            parting = next(waits, link)
            _log.warning("there are %d connections: one that waits is closed", len(self._guests))
            parting.close()
            if parting is link:
                return
            self._forget(parting)
        loop = asyncio.get_running_loop()
        self._guests[link] = Guest(loop.call_later(HANDSHAKE, link.close))

    def frame(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """Whoever says HELLO as a primary has to be that place, and says it once."""
        if frame.kind is not Kind.HELLO:
            self._node.from_primary(link, frame, payload)
            return
        hello, name, guest = accepting.parse(payload), link.certified, self._guests[link]
        if name is not None and (hello is None or hello.primary != name):
            _log.error("%r says that it is %s: refused", name, hello and hello.primary)
            link.close()
        elif guest.greeted:
            link.close()
        else:
            guest.greeted = True
            self._node.from_primary(link, frame, payload)
            if guest.deadline is not None and self._node.follows(link):
                guest.deadline.cancel()
                guest.deadline = None

    def batch_over(self, link: LinkConnection) -> None:
        """Tell what was applied."""
        self._node.acknowledge()

    def down(self, link: LinkConnection) -> None:
        """It counts no more."""
        self._forget(link)
        self._node.primary_gone(link)

    def _forget(self, link: LinkConnection) -> None:
        guest = self._guests.pop(link, None)
        if guest is not None and guest.deadline is not None:
            guest.deadline.cancel()


def _give_up(arriving: socket.socket) -> None:
    """Its handshake fails at once."""
    with contextlib.suppress(OSError):
        arriving.shutdown(socket.SHUT_RDWR)
