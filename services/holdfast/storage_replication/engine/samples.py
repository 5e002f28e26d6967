"""How long requests of one kind took, since it was looked at last."""

MOST = 4096
"""Kept; the same share of the beginning as of the end."""


class Sample:
    """Of all that `add` was told, every so many."""

    def __init__(self) -> None:
        self.kept: list[float] = []
        """Seconds."""
        self.count = 0
        """Of all."""
        self._every = 1

    def add(self, seconds: float) -> None:
        """One more."""
        self.count += 1
        if self.count % self._every == 0:
            self.kept.append(seconds)
            if len(self.kept) == MOST:
                del self.kept[::2]
                self._every *= 2
