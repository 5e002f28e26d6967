"""A value sampled at an interval, and when it counts as degraded."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from holdfast.events.fields import Health
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes.base import Report

HOLD_SAMPLES = 3
"""A level counts once it was seen for so many intervals without interruption."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """Degraded from `enter` on, ok again only beyond `leave`: nothing flaps at the border."""

    enter: float
    leave: float

    @classmethod
    def above(cls, level: float) -> "Threshold":
        """Too much is bad: enter at the level, leave at three quarters of it."""
        return cls(enter=level, leave=level * 0.75)

    @classmethod
    def below(cls, level: float) -> "Threshold":
        """Too little is bad: enter at the level, leave at one and a half of it."""
        return cls(enter=level, leave=level * 1.5)

    def exceeded(self, value: float, was: bool) -> bool:
        """Whether the value is bad, given whether it was before."""
        level = self.leave if was else self.enter
        return value >= level if self.enter >= self.leave else value <= level


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: the value that the threshold judges, in words, and all around it."""

    value: float
    reason: str
    measurements: dict[str, float]


class SamplingProbe:
    """Measures every `interval` seconds and reports ok or degraded."""

    def __init__(
        self,
        subject: Subject,
        threshold: Threshold,
        interval: float,
        measure: Callable[[], Awaitable[Sample]],
    ) -> None:
        self.subject = subject
        self._threshold = threshold
        self._interval = interval
        self._measure = measure
        self._exceeded = False

    async def run(self, report: Report) -> None:
        """Measure, report, wait."""
        while True:
            sample = await self._measure()
            self._exceeded = self._threshold.exceeded(sample.value, self._exceeded)
            state = Health.DEGRADED if self._exceeded else Health.OK
            hold = HOLD_SAMPLES * self._interval
            report(self.subject.seen(state, sample.reason, sample.measurements, hold=hold))
            await asyncio.sleep(self._interval)
