"""A READ that is too long to be held in memory: piece after piece, as its client takes them."""

from collections.abc import Callable

from holdfast.storage_replication.interfaces import Volume
from holdfast.storage_replication.nbd.output import Output, Piece

PIECE = 1024 * 1024
"""Bytes read at once."""


class LongRead:
    """One READ of more than PIECE bytes; the session parses nothing until it is over.

    Without structured replies its data must not be interrupted: nothing else may be in flight.
    """

    def __init__(
        self, cookie: int, offset: int, length: int, *, output: Output, structured: bool
    ) -> None:
        self._cookie, self._offset, self._left = cookie, offset, length
        self._output, self._structured = output, structured
        self._head_sent = structured
        self.reading = False
        """Whether the volume is at it."""
        self.broken = False
        """An error that can't be told any more: the connection must end."""

    @property
    def over(self) -> bool:
        """Whether the whole answer is given."""
        return self._left == 0

    def next_piece(self, volume: Volume, ended: Callable[[], None]) -> None:
        """Read and send one more piece. `ended` is called then, perhaps before this returns."""
        length = min(PIECE, self._left)
        self.reading = True

        def done(error: int, data: Piece) -> None:
            self.reading = False
            if error:
                self._failed(error)
            else:
                self._send(data)
            ended()

        volume.read(self._offset, length, done)

    def _send(self, data: Piece) -> None:
        length = len(data)
        self._left -= length
        if self._structured:
            self._output.chunk(self._cookie, self._offset, data, last=self._left == 0)
        else:
            if not self._head_sent:
                self._output.simple_head(self._cookie)
                self._head_sent = True
            self._output.raw(data)
        self._offset += length

    def _failed(self, error: int) -> None:
        self._left = 0
        if self._structured or not self._head_sent:
            self._output.error(self._cookie, error)
        else:
            self.broken = True
