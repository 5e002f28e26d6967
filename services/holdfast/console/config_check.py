"""`holdfast config check`: every problem of a cluster file at once, fence devices included."""

import asyncio
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.config import volume_check
from holdfast.config.capacity import refused, weaknesses
from holdfast.config.load import load
from holdfast.config.problem import ConfigError, Problem
from holdfast.fence_agents.check import Checked, check_devices


def check(file: Path, /, *, json: bool = False) -> int:
    """Check a cluster file. Exit code 0: it can be used, 2: it cannot.

    Options of fence devices are compared with what their agents know, if these are installed here.
    A file that can be used may still be weak: it tells which losses could not be borne (N+1), and
    refuses it if it says `admission = "enforce"`.

    Parameters
    ----------
    file
        The cluster file.
    json
        Print {"file", "problems": [{"key", "problem", "cure"}], "weaknesses": [text],
        "unchecked": [agent]}.
    """
    problems: list[Problem] = []
    weak: list[str] = []
    devices = Checked()
    try:
        cluster = load(file, verify_files=True)
        weak = [*weaknesses(cluster), *volume_check.weaknesses(cluster)]
    except ConfigError as error:
        problems = error.problems
    else:
        devices = asyncio.run(check_devices(cluster))
        problems = [*refused(cluster), *devices.problems]
    console = Console(highlight=False)
    if json:
        told = {
            "file": str(file),
            "problems": problems,
            "weaknesses": weak,
            "unchecked": devices.unchecked,
        }
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
    if devices.unchecked and not json:
        agents = ", ".join(devices.unchecked)
        console.print(Text(f"not installed here, so their options were not checked: {agents}"))
    return 2 if problems else 0
