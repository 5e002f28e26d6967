"""Virtual time: what happens next, and nothing in between."""

import heapq
from collections.abc import Callable
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
        self._order = 0

    def at(self, time: float, act: Callable[..., None], *args: Any) -> None:
        """Do something at a true time; what is due at the same time happens in order of asking."""
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, act, args))

    def after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        """Do something after true seconds."""
        self._order += 1
        heapq.heappush(self._queue, (self.now + seconds, self._order, act, args))

    def run_until(self, end: float) -> None:
        """Let time pass until `end`."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= end:
            self.now, _, act, args = pop(queue)
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise Endless(f"{MAX_STEPS} steps are not enough")
            act(*args)
        self.now = end
