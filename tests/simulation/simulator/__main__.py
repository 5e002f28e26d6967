"""`python -m tests.simulation.simulator replay SEED` and `... soak N [FIRST]`."""

import os
import sys
import time

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.simulation.simulator.crowd import Figures, play
from tests.simulation.simulator.run import run
from tests.simulation.simulator.timeline import Tape


def replay(seed: int) -> int:
    """Show one seed, step by step. Exit code 1 if an invariant does not hold."""
    tape = Tape()
    result = run(seed, tape)
    console = Console(width=None if sys.stdout.isatty() else 160)
    tape.show(console)
    console.print(
        f"seed {seed}: {result.steps} steps in {result.virtual:.0f} virtual seconds, "
        f"{result.events} events, {result.moves} starts; {_list(result.faults)}"
    )
    console.print(
        f"[bold red]{result.violation}" if result.violation else "[green]all invariants hold"
    )
    return 1 if result.violation else 0


def soak(count: int, first: int) -> int:
    """Play many seeds. Exit code 1 if any invariant does not hold."""
    console, figures, began = Console(), Figures(), time.monotonic()
    with Progress(console=console) as progress:
        bar = progress.add_task("seeds", total=count)
        for result in play(range(first, first + count), os.cpu_count() or 1):
            figures.add(result)
            progress.advance(bar)
            if result.violation:
                progress.print(f"[bold red]seed {result.seed}: {result.violation[:300]}")
    took = time.monotonic() - began
    table = Table("figure", "value", box=None)
    rows = {
        "seeds": f"{figures.seeds} ({first} to {first + count - 1})",
        "invariant violations": figures.violations,
        "came to rest": figures.seeds - figures.violations,
        "longest way to rest, virtual": f"{figures.longest_rest:.0f} s",
        "groups at the end": _list(figures.outcomes),
        "virtual time": f"{figures.virtual / 3600:.1f} h",
        "steps": figures.steps,
        "events": figures.events,
        "starts of groups": figures.moves,
        "faults": figures.faults.total(),
        **{f"  {name}": number for name, number in figures.faults.most_common()},
        "took": f"{took:.0f} s, {took / max(1, figures.seeds) * 1000:.0f} ms a seed",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
    return 1 if figures.violations else 0


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"


def main() -> int:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["replay", seed]:
            return replay(int(seed))
        case ["soak", count, *rest]:
            return soak(int(count), int(rest[0]) if rest else 0)
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
