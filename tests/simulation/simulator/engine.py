"""Virtual time: what happens next, and nothing in between."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

MAX_STEPS = 200_000
"""Thirty times what a seed takes."""


class Endless(Exception):
    """Steps beget steps without time passing, or far too many of them."""


class Engine:
    """True time, in seconds. Places have clocks of their own and never see it."""

    def __init__(self, chance: Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.chance = chance
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count(1)

    def at(self, time: float, act: Callable[..., None], *args: Any) -> None:
        """Do something at a true time; what is due at the same time happens in order of asking."""
        heappush(self._queue, (time, next(self._order), act, args))

    def after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        """Do something after true seconds."""
        heappush(self._queue, (self.now + seconds, next(self._order), act, args))

    def run_until(self, end: float) -> None:
        """Let time pass until `end`."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            self.now, _, act, args = heappop(queue)
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise Endless(f"{MAX_STEPS} steps are not enough")
            act(*args)
        self.now = end
