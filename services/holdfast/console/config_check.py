"""`holdfast config check`: every problem of a cluster file at once."""

from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.config.capacity import weaknesses
from holdfast.config.load import load
from holdfast.config.problem import ConfigError, Problem


def check(file: Path, /, *, json: bool = False) -> int:
    """Check a cluster file. Exit code 0: it can be used, 2: it cannot.

    A file that can be used may still be weak: it tells which losses could not be borne (N+1).

    Parameters
    ----------
    file
        The cluster file.
    json
        Print {"file", "problems": [{"key", "problem", "cure"}], "weaknesses": [text]}.
    """
    problems: list[Problem] = []
    weak: list[str] = []
    try:
        weak = weaknesses(load(file, verify_files=True))
    except ConfigError as error:
        problems = error.problems
    console = Console(highlight=False)
    if json:
        told = {"file": str(file), "problems": problems, "weaknesses": weak}
        console.out(msgspec.json.encode(told).decode())
    elif problems:
        table = Table(title=Text(f"{file} cannot be used"))
        for heading in ("key", "problem", "cure"):
            table.add_column(heading, overflow="fold")
        for problem in problems:
            table.add_row(Text(problem.key), Text(problem.problem), Text(problem.cure))
        console.print(table)
    else:
        console.print(Text(f"{file} can be used", style="green"))
        for one in weak:
            console.print(Text(f"! {one}", style="yellow"))
    return 2 if problems else 0
