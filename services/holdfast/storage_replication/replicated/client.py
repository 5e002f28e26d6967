"""The service's end of a data path's control socket."""

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from holdfast import unix_path
from holdfast.errors import HoldfastError
from holdfast.storage_replication import control
from holdfast.storage_replication.control import (
    MAX_LINE,
    Ask,
    BadControl,
    Done,
    Failed,
    Happened,
    Message,
    Order,
    State,
)

CONNECT_TIMEOUT = 2.0
MAX_UNSENT = 1 << 20
"""Bytes that the data path has not read; with more it counts as hung."""

Told = Callable[[State | Ask | Happened], None]


class DataPathFailed(HoldfastError):
    """The data path refused an order, or did not carry it out in time."""


class Client:
    """One connection. `told` gets what the data path says of itself, in order."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: Told
    ) -> None:
        self._reader, self._writer, self._told = reader, writer, told
        self._open: dict[int, asyncio.Future[Done]] = {}
        self._next = 1
        peer: socket.socket = writer.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.pid: int = struct.unpack("3i", raw)[0]
        """Of the data path."""

    @classmethod
    async def connect(cls, path: Path, told: Told) -> "Client":
        """Raises OSError (nobody is there), TimeoutError."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            with unix_path.address(path) as short:
                reader, writer = await asyncio.open_unix_connection(short, limit=MAX_LINE)
        return cls(reader, writer, told)

    async def run(self) -> None:
        """Hear it until the connection ends; orders that are open then fail."""
        try:
            while line := await self._reader.readline():
                self._take(control.from_data_path(line))
        except (OSError, ValueError, BadControl):
            return
        finally:
            self.close()

    def close(self) -> None:
        """At once."""
        self._writer.close()
        for future in self._open.values():
            if not future.done():
                future.set_exception(_failed("its connection ended"))

    def say(self, message: Message) -> None:
        """Without an answer. Dropped if it is gone; one that does not read is cut off."""
        if self._writer.is_closing():
            return
        self._writer.write(control.encode(message))
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self._writer.transport.abort()

    async def order(self, make: Callable[[int], Order], *, within: float) -> Done:
        """Carry out `make(id)` within so many seconds. Raises DataPathFailed."""
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._open[number] = future
        try:
            if self._writer.is_closing():
                raise _failed("its connection ended")
            self.say(make(number))
            async with asyncio.timeout(within):
                return await future
        except TimeoutError as error:
            raise _failed(f"no answer within {within:g} s") from error
        finally:
            self._open.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()

    def _take(self, message: control.FromDataPath) -> None:
        match message:
            case Done() | Failed():
                future = self._open.get(message.id)
                if future is None or future.done():
                    return
                if isinstance(message, Done):
                    future.set_result(message)
                else:
                    future.set_exception(
                        DataPathFailed(message.problem, place=message.place, cure=message.cure)
                    )
            case _:
                self._told(message)


def _failed(problem: str) -> DataPathFailed:
    return DataPathFailed(
        problem, place="data path", cure="see its log beside its control socket; it is tried again"
    )
