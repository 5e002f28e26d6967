"""Whether something that should turn all the time stands still. Pure; times are monotonic."""

LOOK_EVERY = 0.5
OWN_STALL = 2.0
"""Seconds between two looks from which on the observer itself stood still, and what it watches
maybe with it, as on a host that stalls: it counts anew."""


class Standstill:
    """One observer's view of one counter. `limit` in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._turns = -1
        self._since = self._looked = 0.0

    def look(self, turns: int, now: float) -> bool:
        """Whether the counter has stood for `limit` seconds; to be asked every LOOK_EVERY."""
        if turns != self._turns or now - self._looked > OWN_STALL:
            self._turns, self._since = turns, now
        self._looked = now
        return now - self._since >= self._limit
