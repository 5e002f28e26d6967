"""`python -m tests.benchmarks.volumes [--runs N] [--minutes M] [--out FOLDER] ...`; root, fio.

First the resync, then rounds of all loads on all servers, so that what else the machine does falls
on all of them; the median round counts. A round that would end after M minutes is not begun.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from holdfast.clock import monotonic
from tests.benchmarks.machine import facts
from tests.benchmarks.volumes import resync
from tests.benchmarks.volumes.loads import LOADS, Result, measure
from tests.benchmarks.volumes.report import Measurement, page
from tests.benchmarks.volumes.servers import NAMES, Files, serving

FAILED = (OSError, RuntimeError, AssertionError, subprocess.SubprocessError)
"""Of one server: the others are measured all the same."""


def main() -> int:
    """0: all was measured; 1: not all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.volumes")
    parser.add_argument("--runs", type=int, default=5, help="rounds; the median counts (5)")
    parser.add_argument("--minutes", type=float, default=12, help="at most, all in all (12)")
    parser.add_argument("--seconds", type=float, default=2, help="of each load (2)")
    parser.add_argument("--folder", type=Path, default=tempfile.gettempdir(), help="on which disk")
    parser.add_argument("--only", choices=["loads", "resync"], help="default both")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever runs is ended, too
    end = monotonic() + 60 * given.minutes
    run = Measurement(
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=facts(),
        seconds=given.seconds,
        rounds=0,
    )
    if given.only != "loads":
        run = _resync(run, given.folder)
    if given.only != "resync":
        with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
            run = _rounds(run, Path(scratch), given.runs, end)
    given.out.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(run), indent=1)
    (given.out / "volumes.json").write_bytes(data + b"\n")
    (given.out / "volumes.md").write_text(page(run))
    _say(page(run))
    return 1 if run.failures else 0


def _resync(run: Measurement, folder: Path) -> Measurement:
    _say("resync")
    try:
        sent, latency = resync.measure(folder)
    except FAILED as error:
        return replace(run, failures={**run.failures, "resync": _why(error)})
    return replace(run, sent=sent, latency=latency)


def _rounds(run: Measurement, folder: Path, most: int, end: float) -> Measurement:
    files = Files(folder)
    found: dict[str, dict[str, list[Result]]] = {load: {} for load in LOADS}
    failures = dict(run.failures)
    done, longest = 0, 0.0
    while done < most and monotonic() + longest < end:
        began = monotonic()
        for name in NAMES:
            _say(f"round {done + 1}: {name}")
            try:
                for load, result in _one(name, files, run.seconds):
                    found[load].setdefault(name, []).append(result)
            except FAILED as error:
                failures[name] = _why(error)
        done, longest = done + 1, max(longest, monotonic() - began)
    return replace(run, rounds=done, results=found, failures=failures)


def _one(name: str, files: Files, seconds: float) -> list[tuple[str, Result]]:
    results = []
    with serving(name, files) as served:
        for load in LOADS:
            # Else the first flush of one pays for what the others wrote: most for who wrote most.
            files.settle()
            results.append((load, measure(served, load, seconds)))
    return results


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
