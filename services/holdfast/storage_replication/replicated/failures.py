"""When a data path whose disk has failed is started again. Pure; times are monotonic seconds."""

import os

from holdfast.storage_replication.control import State
from holdfast.volumes import VolumeRecord

PAUSES = (5.0, 10.0, 20.0, 60.0, 120.0, 300.0)
"""Seconds from a failure to the new start: what failed may have room, or its cable, again."""
STABLE = 900.0
"""Seconds without a failure after which the next is taken for the first."""


def restartable(state: State, record: VolumeRecord | None, node: str) -> bool:
    """Whether a new process may take the place of one whose disk has failed.

    It begins as one that lost power; so not before the failure is noted durably, or it would be
    taken for one that has everything. Nor while it is the primary and another member has all: that
    one is to be promoted, and this failure is why.
    """
    if not state.failed or state.intact or record is None:
        return False
    return state.role != "primary" or not any(name != node for name in record.in_sync)


class Failures:
    """Of the data paths of one member, one after the other."""

    def __init__(self) -> None:
        self._count = 0
        self._since: float | None = None
        self._last = 0.0

    def due(self, state: State | None, record: VolumeRecord | None, node: str, now: float) -> str:
        """Why it is to be ended now, so that it is started anew; empty: it is not."""
        if state is None or not state.failed:
            self._since = None
            return ""
        if self._since is None:
            self._count = 0 if now - self._last > STABLE else self._count
            self._since = now
        self._last = now
        pause = PAUSES[min(self._count, len(PAUSES) - 1)]
        if now - self._since < pause or not restartable(state, record, node):
            return ""
        self._count, self._since = self._count + 1, None
        return f"its disk failed ({os.strerror(state.failed)})"
