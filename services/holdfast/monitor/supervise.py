"""Keeps probes running: one that fails is said to be blind, and tried again, ever more rarely."""

import asyncio
import logging

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.events.fields import Health
from holdfast.monitor.probes import Probe, Report

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 60.0
"""Seconds. A probe that ran longer than this before it failed begins again with the first."""
_log = logging.getLogger("holdfast.monitor")


async def supervise(probe: Probe, report: Report) -> None:
    """Run a probe until it has nothing left to see. Never raises for what the probe does."""
    backoff = FIRST_BACKOFF
    while True:
        started = clock.monotonic()
        try:
            await probe.run(report)
            return
        except HoldfastError as error:
            _log.warning("probe %s cannot run: %s", _name(probe), error)
            reason = f"{error.place}: {error.problem}; cure: {error.cure}"
        except Exception as error:
            _log.exception("probe %s failed", _name(probe))
            reason = f"the probe failed: {error!r}"
        report(probe.subject.seen(Health.UNKNOWN, reason))
        if clock.monotonic() - started > MAX_BACKOFF:
            backoff = FIRST_BACKOFF
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, MAX_BACKOFF)


def _name(probe: Probe) -> str:
    return f"{probe.subject.probe} of {probe.subject.entity}"
