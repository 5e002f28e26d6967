"""How far a comparison is, and when it will be done."""

_MEMORY = 0.9
"""Of the speed: how much of the past a second keeps."""


class Progress:
    """`total` in bytes to be looked at. The estimate follows the recent speed, not the average."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._seen = 0
        self._at: float | None = None
        self._speed: float | None = None

    def did(self, size: int) -> None:
        """That many bytes more."""
        self.done = min(self.total, self.done + size)

    def tick(self, now: float) -> None:
        """Look at the speed; about once a second."""
        if self._at is None:
            self._at, self._seen = now, self.done
            return
        passed = now - self._at
        if passed < 1.0:
            return
        speed = (self.done - self._seen) / passed
        keep = _MEMORY**passed
        self._speed = speed if self._speed is None else keep * self._speed + (1 - keep) * speed
        self._at, self._seen = now, self.done

    @property
    def eta(self) -> float | None:
        """Seconds left at the recent speed; None: nobody knows, as after a start or a stall."""
        if self.done >= self.total:
            return 0.0
        if not self._speed or self._speed < 1.0:
            return None
        return (self.total - self.done) / self._speed
