"""`holdfast audit replay`: recorded inputs through the decider again, shown."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.bus import Bus
from holdfast.console import decider_program, record
from holdfast.console.launcher.errors import LaunchError
from holdfast.console.whereabouts import HERE, Which, state_folder

SAME, DIFFERENT, UNREADABLE = 0, 1, 2
"""Exit codes of `holdfast audit replay`."""
DECIDER = b"/failover_decider"
MAX_SHOWN = 10


async def audit_replay(
    *,
    journal: Path | None = None,
    file: Path | None = None,
    offline: bool = False,
    json: bool = False,
    timeout: float = 3600.0,
    which: Which = HERE,
) -> int:
    """Run what the deciders were given through their core again and compare, byte for byte.

    The decisions are compared with the public record, too: that of the running cluster, or a file.
    Exit code 0: the same, 1: a difference, 2: something could not be read.

    Parameters
    ----------
    journal
        One `*.inputs` file, or a folder of them: default all places below the state folder.
    file
        A file that `holdfast events --json` wrote: compare with it instead of the cluster's stream.
    offline
        Compare with no public record.
    json
        The report as one line of JSON.
    timeout
        Seconds it may take.
    """
    console = Console(highlight=False)
    where = str(journal or state_folder(which.state))
    async with _record(which, file, asked=not offline and journal is None) as events:
        compared = ["--events", str(events)] if events else []
        code, report = await decider_program.run("replay", where, *compared, timeout=timeout)
    if json:
        console.out(msgspec.json.encode(report).decode(), highlight=False)
    else:
        show(report, console)
    return code


@contextlib.asynccontextmanager
async def _record(which: Which, file: Path | None, *, asked: bool) -> AsyncIterator[Path | None]:
    """A file with the deciders' events, if there is a record to compare with."""
    if file is not None or not asked:
        yield file
        return
    try:
        bus = await which.connect()
    except LaunchError:
        yield None  # these are the files of a cluster that does not run from here
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-replay-") as folder:
        path = Path(folder) / "events.jsonl"
        try:
            await _export(bus, path)
        finally:
            await bus.close()
        yield path


async def _export(bus: Bus, path: Path) -> None:
    span = await record.extent(bus)
    with path.open("wb") as out:
        async for stored in record.read_stream(bus, span, lambda _done, _all: None):
            if DECIDER in stored.raw:
                out.write(stored.raw + b"\n")


def show(report: dict[str, Any], console: Console) -> None:
    """Print segments, differences, the comparison with the record, and the verdict."""
    for journal in report["journals"]:
        console.print(_segments(journal))
        for problem in journal["unreadable"]:
            console.print(Text(problem, "red"))
        for segment in journal["segments"]:
            _differences(segment, console)
        if journal["record"] is not None:
            _compared(journal["record"], console)
    console.print(_verdict(report))


def _segments(journal: dict[str, Any]) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), title=journal["journal"], title_style="dim"
    )
    for name in ("segment", "place", "from", "seconds", "steps", "made", "refused", "differences"):
        table.add_column(name, justify="left" if name in ("place", "from") else "right")
    table.add_column("ends", overflow="fold")
    for segment in journal["segments"]:
        differences = segment["differences"]
        table.add_row(
            str(segment["number"]),
            segment["place"],
            segment["wall"][:19].replace("T", " "),
            f"{segment['seconds']:.0f}",
            *(str(segment[name]) for name in ("steps", "made", "refused")),
            Text(str(differences), "bold red" if differences else "green"),
            Text(segment["ended"]),
        )
    return table


def _differences(segment: dict[str, Any], console: Console) -> None:
    if segment["problem"]:
        console.print(Text(f"segment {segment['number']}: {segment['problem']}", "red"))
    first = segment["first"]
    if first is None:
        return
    where = f"segment {segment['number']}, step {first['step']}, at {first['now']:.3f} s"
    console.print(Text(f"first difference: {where}", "bold red"))
    kind, *given = first["input"]
    told = msgspec.json.encode(given[0]).decode() if given else ""
    console.print(Text.assemble((f"  given {kind} ", "bold"), told[:2000]))
    for title, lines in (("then", first["then"]), ("now", first["replayed"])):
        for line in lines or ["nothing follows"]:
            console.print(Text.assemble((f"  {title:5}", "bold"), line[:2000]))
    if segment["version"]:
        console.print(Text(f"  recorded by version {segment['version']}", "dim"))


def _compared(compared: dict[str, Any], console: Console) -> None:
    console.print(f"{compared['compared']} decisions are on the public record as they were made")
    for name, meaning in (
        ("missing", "decided, but not on the record"),
        ("altered", "other on the record than decided"),
        ("unexplained", "on the record, but no recorded input led to it"),
    ):
        for event in compared[name][:MAX_SHOWN]:
            console.print(Text(f"{meaning}: {event}", "bold red"))
    if compared["waiting"]:
        console.print(Text(f"{len(compared['waiting'])} not published yet", "dim"))


def _verdict(report: dict[str, Any]) -> Text:
    segments = [segment for journal in report["journals"] for segment in journal["segments"]]
    steps = sum(segment["steps"] for segment in segments)
    decisions = sum(segment["made"] + segment["refused"] for segment in segments)
    counted = f"{steps} steps, {decisions} decisions"
    if not report["same"]:
        return Text(f"Not the same: {counted}", "bold red")
    if not report["readable"]:
        return Text(f"The same as far as it could be read: {counted}", "yellow")
    return Text(f"The same, byte for byte: {counted}", "bold green")
