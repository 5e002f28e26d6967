"""`python -m tests.benchmarks.failover [--runs N] [--only NAME,...] [--out FOLDER]`; needs root."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from holdfast.clock import monotonic
from tests.benchmarks.failover.contestants import CONTESTANTS
from tests.benchmarks.failover.report import page
from tests.benchmarks.failover.results import Measurement
from tests.benchmarks.failover.runner import measure
from tests.benchmarks.machine import facts
from tests.support.lab import unusable

DATA, PAGE = "failover.json", "failover.md"
INTERRUPTED = 130


def main() -> int:
    """0: all was measured; 1: not all; 2: nothing can be measured here; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.failover")
    parser.add_argument("--runs", type=int, default=5, help="faults of each kind (5)")
    parser.add_argument("--only", default="", help=f"some of {','.join(CONTESTANTS)}")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name] or list(CONTESTANTS)
    if unknown := set(names) - set(CONTESTANTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: {', '.join(CONTESTANTS)}")
    if options.runs < 1:
        parser.error("at least one run")
    if reason := unusable():
        parser.error(reason)
    try:
        measurement = asyncio.run(_all(names, options.runs))
    except asyncio.CancelledError:
        _say("interrupted; nothing is left of it, and nothing was written")
        return INTERRUPTED
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / DATA).write_bytes(
        msgspec.json.format(msgspec.json.encode(measurement), indent=1) + b"\n"
    )
    (options.out / PAGE).write_text(page(measurement))
    _say(f"written: {options.out / PAGE}, {options.out / DATA}")
    return 1 if any(one.failure for one in measurement.results) else 0


async def _all(names: list[str], runs: int) -> Measurement:
    """One contestant after another, so that none takes another's processor."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Once: cleaning up is not interrupted by an impatient second one.
        asyncio.get_running_loop().add_signal_handler(number, _Once(task.cancel))
    machine = facts()
    taken = datetime.now(UTC).isoformat(sep=" ", timespec="minutes").replace("+00:00", " UTC")
    results = [await measure(name, CONTESTANTS[name], runs, _say) for name in names]
    return Measurement(taken=taken, machine=machine, results=results)


class _Once:
    """A call that only its first caller makes."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call, self._called = call, False

    def __call__(self) -> None:
        if not self._called:
            self._called = True
            self._call()


_BEGAN = monotonic()


def _say(text: str) -> None:
    sys.stdout.write(f"{monotonic() - _BEGAN:6.0f} s  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
