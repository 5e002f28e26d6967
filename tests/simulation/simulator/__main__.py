"""python -m tests.simulation.simulator replay SEED | soak N FIRST [FIGURES.md or FIGURES.json]"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.simulation.simulator.crowd import Figures, play
from tests.simulation.simulator.report import Report, listed
from tests.simulation.simulator.run import run
from tests.simulation.simulator.timeline import Tape


def replay(seed: int) -> int:
    """Show one seed, step by step. Exit code 1 if an invariant does not hold."""
    tape = Tape()
    result = run(seed, tape)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    tape.show(console)
    console.print(
        f"\nseed {seed}: {result.steps:,} steps in {result.virtual:.0f} virtual seconds, "
        f"{result.events} events, {result.moves} starts of groups"
    )
    console.print(f"faults drawn: {listed(result.faults)}")
    console.print(
        f"[bold red]{result.violation}" if result.violation else "[green]all invariants hold"
    )
    return 1 if result.violation else 0


def soak(count: int, first: int, keep: Path | None) -> int:
    """Play many seeds; interrupted, say what was found so far. Exit code 1 after a violation."""
    console, figures, began = Console(), Figures(), time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Progress(console=console) as progress, contextlib.suppress(KeyboardInterrupt):
        bar = progress.add_task("seeds", total=count)
        for result in play(range(first, first + count), os.cpu_count() or 1):
            figures.add(result)
            progress.advance(bar)
            if result.violation:
                progress.print(f"[bold red]seed {result.seed}: {result.violation[:300]}")
    report = Report(figures, first, count, time.monotonic() - began)
    console.print(report.table())
    if keep is not None:
        keep.write_text(report.json() if keep.suffix == ".json" else report.markdown())
        console.print(f"kept in {keep}")
    return 1 if figures.violations else 0


def main() -> int:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["replay", seed]:
            return replay(int(seed))
        case ["soak", count, first]:
            return soak(int(count), int(first), None)
        case ["soak", count, first, keep]:
            return soak(int(count), int(first), Path(keep))
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
