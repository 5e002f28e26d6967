"""Waiting out a stream that elects its leader: nobody answers for it meanwhile."""

import asyncio

from holdfast.clock import monotonic

PATIENCE = 15.0
"""Seconds without any progress. The loss of a server has been seen to cost a stream 4 to 9."""
PAUSE = 0.5


class Patience:
    """Of one reader; it begins anew with everything that is read."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._seconds = seconds
        self._until = monotonic() + seconds

    def renew(self) -> None:
        """Something was read."""
        self._until = monotonic() + self._seconds

    async def lasts(self) -> bool:
        """Pause before another attempt; False: it is over, and the failure final."""
        if monotonic() >= self._until:
            return False
        await asyncio.sleep(PAUSE)
        return True
