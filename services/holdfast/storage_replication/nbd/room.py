"""The connections of one listener, of which there is a limited number."""

import logging
from collections.abc import Callable

from holdfast.storage_replication.nbd.connection import Connection

MAX_CONNECTIONS = 64

_log = logging.getLogger("holdfast.nbd")


class Room:
    """Up to MAX_CONNECTIONS; one more takes the place of whoever has negotiated longest.

    So strangers, who never get beyond that, keep nobody away: neither from here, nor, since each
    listener has its own, from the socket of the node's own workload. Only clients that are served
    can fill it: then one more is closed at once.
    """

    def __init__(self, emptied: Callable[[], None]) -> None:
        self._emptied = emptied
        self._connections: dict[Connection, None] = {}
        self._shut = False

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connections(self) -> list[Connection]:
        """In the order of arrival."""
        return list(self._connections)

    def shut(self) -> None:
        """Nobody new."""
        self._shut = True

    def opened(self, connection: Connection) -> bool:
        """Called by a new connection: whether it may stay."""
        if self._shut:
            return False
        if len(self) >= MAX_CONNECTIONS:
            oldest = next((one for one in self._connections if not one.served), None)
            if oldest is None:
                _log.warning("a client was refused: there are %d", len(self))
                return False
            _log.warning("of %d clients the one that negotiated longest is cut off", len(self))
            del self._connections[oldest]
            oldest.abort()
        self._connections[connection] = None
        return True

    def closed(self, connection: Connection) -> None:
        """Called by a connection that is gone, perhaps for want of room."""
        self._connections.pop(connection, None)
        if not self._connections:
            self._emptied()
