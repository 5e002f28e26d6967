"""How far a comparison is, and when it will be done."""

_MEMORY = 0.9
"""How much of the past counts still a second later."""
_LEAST = 0.9
"""Seconds that must have been seen."""


class Progress:
    """`total` in bytes to be looked at. The estimate follows the recent speed, not the average."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._seen = 0
        self._at: float | None = None
        # Of late: what is past fades in both, so a slow beginning weighs no more than what follows.
        self._bytes = self._seconds = 0.0

    def did(self, size: int) -> None:
        """That many bytes more."""
        self.done = min(self.total, self.done + size)

    def tick(self, now: float) -> None:
        """Look at the speed; with each tick of the clockwork."""
        if self._at is None:
            self._at, self._seen = now, self.done
        passed = now - self._at
        keep = _MEMORY**passed
        self._bytes = keep * self._bytes + self.done - self._seen
        self._seconds = keep * self._seconds + passed
        self._at, self._seen = now, self.done

    @property
    def eta(self) -> float | None:
        """Seconds left at the recent speed; None: nobody knows, as after a start or a stall."""
        if self.done >= self.total:
            return 0.0
        if self._seconds < _LEAST or self._bytes < self._seconds:
            return None
        return (self.total - self.done) * self._seconds / self._bytes
