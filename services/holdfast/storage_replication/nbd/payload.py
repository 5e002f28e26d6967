"""The data of a WRITE that is applied, or thrown away, while it arrives."""

from collections.abc import Callable

from holdfast.nbd_protocol import PREFERRED_BLOCK
from holdfast.storage_replication.interfaces import Volume
from holdfast.storage_replication.nbd.requests import Refusal

WHOLE = 128 * 1024
"""Bytes up to which a WRITE is applied in one piece."""
PIECE = 64 * 1024
"""Bytes that are worth a piece; one ends at the end of a block, so that no block is torn."""


class Payload:
    """One WRITE of more than WHOLE bytes, or one that is refused."""

    def __init__(
        self,
        cookie: int,
        offset: int,
        length: int,
        *,
        fua: bool,
        refusal: Refusal | None,
        began: Callable[[int], None],
        ended: Callable[[int], None],
        over: Callable[["Payload"], None],
    ) -> None:
        """`began` and `ended` are told the bytes of each piece that the volume is at.

        `over` is called once, when all has arrived and every piece is done.
        """
        self.cookie = cookie
        self.refusal = refusal
        self._offset, self._left = offset, length
        self._fua = fua
        self._began, self._ended, self._over = began, ended, over
        self._pieces = 0

    @property
    def arrived(self) -> bool:
        """Whether all of the data was taken."""
        return self._left == 0

    def take(self, data: memoryview, volume: Volume) -> int:
        """Apply what `data` begins with; how many bytes that are. 0: more must arrive."""
        size = min(len(data), self._left)
        if self.refusal is None and size < self._left:
            size -= (self._offset + size) % PREFERRED_BLOCK
            if size < PIECE:
                return 0
        offset, self._offset = self._offset, self._offset + size
        self._left -= size
        if self.refusal is None:
            self._apply(offset, data[:size], volume)
        elif not self._left and not self._pieces:
            self._over(self)
        return size

    def _apply(self, offset: int, data: memoryview, volume: Volume) -> None:
        size = len(data)
        self._pieces += 1
        self._began(size)

        def done(error: int) -> None:
            self._pieces -= 1
            if error and self.refusal is None:
                self.refusal = error, ""
            self._ended(size)
            self._settle(volume)

        # A piece with FUA would be durable alone; a flush after the last covers all of them.
        volume.write(offset, data, False, done)

    def _settle(self, volume: Volume) -> None:
        if self._left or self._pieces:
            return
        if self._fua and self.refusal is None:
            self._fua = False
            volume.flush(self._flushed)
        else:
            self._over(self)

    def _flushed(self, error: int) -> None:
        if error:
            self.refusal = error, ""
        self._over(self)
