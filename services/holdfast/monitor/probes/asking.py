"""Puts a check of the configuration to a resource, at its interval."""

import asyncio

from holdfast import checks, clock
from holdfast.events.fields import Health
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes.base import Report

MIN_PAUSE = 0.05
"""Seconds between the end of a check and the next, however short the interval."""


class AskingProbe:
    """Runs one check again and again; its deadline bounds each run."""

    def __init__(self, subject: Subject, check: checks.ActiveCheck) -> None:
        self.subject = subject
        self._check = check

    async def run(self, report: Report) -> None:
        """Check, report, wait for the rest of the interval."""
        check = self._check
        while True:
            started = clock.monotonic()
            result = await checks.run(check)
            state = Health.OK if result.ok else Health.FAILED
            seen = self.subject.seen(
                state, result.reason, result.measurements, failures=check.failures
            )
            report(seen)
            took = clock.monotonic() - started
            await asyncio.sleep(max(MIN_PAUSE, check.interval - took))
