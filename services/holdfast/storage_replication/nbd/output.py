"""Replies on their way to one client: collected, and written at once."""

from collections.abc import Sequence
from typing import Protocol

from holdfast import nbd_protocol as protocol
from holdfast.storage_replication.sockets import JOIN_UP_TO

Piece = bytes | bytearray | memoryview

WRITE_AT = 512 * 1024
"""Bytes collected after which a batch is written, so that the transport can say stop."""
_ZEROES = bytes(1024 * 1024)


class Wire(Protocol):
    """What a session needs of its connection."""

    def write(self, pieces: Sequence[Piece]) -> None:
        """Send them in order; never waits. Pieces are not changed afterwards."""
        ...

    def wake(self) -> None:
        """Call `Session.receive` soon, even if nothing more arrives."""
        ...

    def close(self) -> None:
        """Send what was written, then close."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Output:
    """Encodes replies, and keeps them until `flush`. `structured` as negotiated."""

    def __init__(self, wire: Wire, *, structured: bool) -> None:
        self._wire = wire
        self._structured = structured
        self._pieces: list[Piece] = []
        self._size = 0
        self._lost = False

    def lost(self) -> None:
        """Whoever it was for is gone: from now on nothing is kept, and nothing written."""
        self._lost = True
        self._pieces, self._size = [], 0

    def ok(self, cookie: int) -> None:
        """Done, without data."""
        self._send(protocol.simple_reply(cookie))

    def error(self, cookie: int, number: int, message: str = "") -> None:
        """Not done. `number` is any errno."""
        number = protocol.wire_error(number)
        if self._structured:
            self._send(protocol.error_chunk(cookie, number, message))
        else:
            self._send(protocol.simple_reply(cookie, number))

    def read(self, cookie: int, offset: int, data: Piece) -> None:
        """The whole answer to a READ."""
        if self._structured:
            self.chunk(cookie, offset, data, last=True)
        else:
            self.simple_head(cookie)
            self.raw(data)

    def chunk(self, cookie: int, offset: int, data: Piece, *, last: bool) -> None:
        """A part of a structured answer to a READ; zeroes travel as a hole."""
        length = len(data)
        if length == 0:
            self._send(protocol.nothing_more(cookie))
        elif is_zero(data):
            self._send(protocol.hole(cookie, offset, length, last=last))
        else:
            self._send(protocol.data_head(cookie, offset, length, last=last), data)

    def simple_head(self, cookie: int) -> None:
        """What goes before the data of a READ without structured replies."""
        self._send(protocol.simple_reply(cookie))

    def raw(self, data: Piece) -> None:
        """Data that a head announced."""
        self._send(data)

    def status(self, cookie: int, descriptors: list[tuple[int, int]]) -> None:
        """The answer to BLOCK_STATUS."""
        self._send(protocol.block_status(cookie, descriptors))

    def flush(self) -> None:
        """Write what was collected."""
        pieces, self._pieces, size, self._size = self._pieces, [], self._size, 0
        if not pieces:
            return
        if len(pieces) > 1 and size <= JOIN_UP_TO:
            pieces = [b"".join(pieces)]
        self._wire.write(pieces)

    def _send(self, *pieces: Piece) -> None:
        if self._lost:
            return
        self._pieces += pieces
        for piece in pieces:
            self._size += len(piece)
        if self._size >= WRITE_AT:
            self.flush()


def is_zero(data: Piece) -> bool:
    """Whether all of it, up to 1 MiB, is zero; looks no further than the first other byte."""
    return data[0] == 0 and _ZEROES.startswith(data)
