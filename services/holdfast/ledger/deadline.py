"""Reading from a socket with one deadline for a whole message, however slowly it drips in."""

import io
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DeadlineReader(io.RawIOBase):
    """The receiving half of a socket. Raises TimeoutError once the deadline has passed.

    `expect` starts a message: it may take `begin` seconds to begin, then `complete` to be complete.
    """

    def __init__(self, sock: socket.socket, *, begin: float, complete: float) -> None:
        super().__init__()
        self._sock = sock
        self.expect(begin=begin, complete=complete)

    def expect(self, *, begin: float, complete: float) -> None:
        """The next message; both in seconds from now."""
        self._deadline = time.monotonic() + begin
        self._complete: float | None = complete

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the message is not complete in time")
        self._sock.settimeout(left)
        count = self._sock.recv_into(buffer)
        if self._complete is not None:
            self._deadline = time.monotonic() + self._complete
            self._complete = None
        return count
