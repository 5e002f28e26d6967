"""The control socket: one service at a time, lines both ways, everything bounded."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

from holdfast.storage_replication import control
from holdfast.storage_replication.control import (
    MAX_KEPT,
    MAX_LINE,
    BadControl,
    Failed,
    FromService,
    Happened,
    Message,
)
from holdfast.storage_replication.nbd.server import unix_socket

MAX_UNREAD = 4 << 20
"""Bytes that the service has not read; more ends the connection."""

_log = logging.getLogger("holdfast.control")

Receive = Callable[["Service", FromService], None]


class Service(asyncio.Protocol):
    """A connection of the service."""

    def __init__(self, desk: "ControlSocket") -> None:
        self._desk = desk
        self._input = bytearray()
        self._transport: asyncio.Transport
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It replaces an older one."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True
        self._desk.arrived(self)

    def data_received(self, data: bytes) -> None:
        """Whole lines are messages."""
        self._input += data
        *lines, rest = self._input.split(b"\n")
        self._input = rest
        for line in (*lines, rest):
            if len(line) > MAX_LINE:
                self._refuse(f"a line of more than {MAX_LINE} bytes")
                self.close()
                return
        for line in lines:
            if self.open:
                self._line(bytes(line))

    def connection_lost(self, exc: Exception | None) -> None:
        """Questions wait for the next one."""
        self.open = False
        self._desk.left(self)

    def say(self, message: Message) -> None:
        """Dropped if it is gone."""
        if not self.open:
            return
        self._transport.write(control.encode(message))
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            _log.warning("the service does not read: its connection is closed")
            self.close()

    def close(self) -> None:
        """At once."""
        if self.open:
            self.open = False
            self._transport.abort()

    def _line(self, line: bytes) -> None:
        try:
            message = control.from_service(line)
        except BadControl as error:
            self._refuse(error.problem)
            return
        self._desk.receive(self, message)

    def _refuse(self, problem: str) -> None:
        _log.error("a line on the control socket is refused: %s", problem)
        self.say(
            Failed(
                id=0,
                problem=problem,
                place=control.SOCKET,
                cure="service and data path must run the same version of Holdfast",
            )
        )


class ControlSocket:
    """`receive` gets each message; `greeted` is called when a service has connected."""

    def __init__(self, receive: Receive, greeted: Callable[[], None]) -> None:
        self.receive, self._greeted = receive, greeted
        self._service: Service | None = None
        self._kept: deque[Happened] = deque(maxlen=MAX_KEPT)
        self._server: asyncio.Server
        self._path: Path

    async def listen(self, path: Path) -> None:
        """Only this user may connect. Raises CannotListen."""
        self._path = path
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Service(self), sock=unix_socket(path)
        )

    def say(self, message: Message) -> None:
        """To the service if there is one. What happened is kept for the next, the last of it."""
        if self._service is not None and self._service.open:
            self._service.say(message)
        elif isinstance(message, Happened):
            self._kept.append(message)

    def close(self) -> None:
        """The end."""
        self._server.close()
        if self._service is not None:
            self._service.close()
        self._path.unlink(missing_ok=True)

    def arrived(self, service: Service) -> None:
        """Called by a new connection."""
        if self._service is not None:
            self._service.close()
        self._service = service
        while self._kept:
            service.say(self._kept.popleft())
        self._greeted()

    def left(self, service: Service) -> None:
        """Called by one that is gone."""
        if service is self._service:
            self._service = None
