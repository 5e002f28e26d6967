"""Listens for NBD clients of one volume, on a unix socket and on TCP."""

import asyncio
import errno
import logging
import os
import socket
import ssl
from pathlib import Path

from msgspec.structs import replace

from holdfast import unix_path
from holdfast.errors import HoldfastError
from holdfast.storage_replication.interfaces import Volume
from holdfast.storage_replication.nbd.connection import Connection
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.room import Room

BACKLOG = 64

_log = logging.getLogger("holdfast.nbd")


class CannotListen(HoldfastError):
    """An address or socket path cannot be used."""


class Server:
    """One volume, for as many clients as its listeners have room for."""

    def __init__(self, export: Export, volume: Volume) -> None:
        self._export, self._volume = export, volume
        self._listening: list[asyncio.Server] = []
        self._rooms: list[Room] = []
        self._bound: list[Path] = []
        self._none_left = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return sum(len(room) for room in self._rooms)

    async def listen_unix(self, path: Path) -> None:
        """Take clients at `path`, which only this user may use. Raises CannotListen.

        A socket that nobody listens at is replaced. It is removed when the server closes.
        """
        sock = unix_socket(path)
        self._bound.append(path)
        room = self._room()
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: self._client(room, None), sock=sock, backlog=BACKLOG
        )
        self._listening.append(server)

    async def listen_tcp(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Take clients at an address, with TLS if given; the port. Raises CannotListen."""
        loop, room = asyncio.get_running_loop(), self._room()
        try:
            server = await loop.create_server(
                lambda: self._client(room, tls), host, port, backlog=BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise CannotListen(
                f"cannot listen: {error.strerror}",
                place=f"{host}:{port}",
                cure="stop what listens there, or give an address of this machine and a free port",
            ) from error
        self._listening.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self, deadline: float) -> None:
        """Take nobody new, answer what is in flight for up to `deadline` seconds, then close."""
        self._stop_listening()
        for room in self._rooms:
            for connection in room.connections:
                connection.end()
        self._none_left.clear()
        self._emptied()
        try:
            async with asyncio.timeout(deadline):
                await self._none_left.wait()
        except TimeoutError:
            _log.warning("%d clients had to be cut off", self.connections)
            self.abort()

    def abort(self) -> None:
        """Take nobody new, and cut off whoever is there, unanswered."""
        self._stop_listening()
        for room in self._rooms:
            for connection in room.connections:
                connection.abort()

    def resize(self, size: int) -> None:
        """Whoever connects from now on is told this size."""
        self._export = replace(self._export, size=size)

    def _stop_listening(self) -> None:
        for room in self._rooms:
            room.shut()
        for server in self._listening:
            server.close()
        while self._bound:
            self._bound.pop().unlink(missing_ok=True)

    def _room(self) -> Room:
        room = Room(self._emptied)
        self._rooms.append(room)
        return room

    def _emptied(self) -> None:
        if not self.connections:
            self._none_left.set()

    def _client(self, room: Room, tls: ssl.SSLContext | None) -> Connection:
        return Connection(self._export, self._volume, room, tls)


def unix_socket(path: Path) -> socket.socket:
    """Bound at `path`, for this user only; one that nobody listens at is replaced.

    Raises CannotListen.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        umask = os.umask(0o177)
        try:
            with unix_path.address(path) as short:
                sock.bind(short)
        finally:
            os.umask(umask)
    except OSError as error:
        sock.close()
        raise CannotListen(
            f"cannot listen: {error.strerror or error}",
            place=str(path),
            cure="the folder must exist, and nothing be there but a socket that nobody listens at",
        ) from error
    return sock


def _clear(path: Path) -> None:
    """Remove the socket of a server that died. Raises OSError if one listens there, or if it is
    anything else: to `connect` a file, the volume's own perhaps, is the same as such a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with unix_path.address(path) as short:
                probe.connect(short)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if not path.is_socket():
                raise OSError(errno.EEXIST, "what is there is no socket") from None
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "somebody listens there")
