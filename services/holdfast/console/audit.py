"""`holdfast audit verify`: prove the record, or say exactly what is wrong with it."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from holdfast.bus import Bus
from holdfast.console import record
from holdfast.events.audit import CURES, Audit, Kind, Report

SOUND, UNSOUND, UNREADABLE = 0, 1, 2
"""Exit codes of `holdfast audit verify`."""
MAX_SHOWN = 50


async def verify(
    source: Bus | Path,
    console: Console,
    *,
    as_json: bool = False,
    operators: frozenset[str] | None = None,
) -> int:
    """Audit the stream or a file, print the verdict, return the exit code.

    `operators`: see `holdfast.events.audit.Audit`.
    """
    try:
        with _progress(console, shown=not as_json and console.is_terminal) as progress:
            report = await audit(source, progress, operators)
    except record.RecordUnreadable as error:
        if as_json:
            reply = {"error": error.problem, "place": error.place, "cure": error.cure}
            console.out(msgspec.json.encode(reply).decode(), highlight=False)
        else:
            console.print(Text(str(error), "red"))
        return UNREADABLE
    if as_json:
        console.out(to_json(report), highlight=False)
    else:
        show(report, console)
    return SOUND if report.passed else UNSOUND


async def audit(
    source: Bus | Path, progress: record.Progress, operators: frozenset[str] | None = None
) -> Report:
    """Read and audit the whole record. Raises RecordUnreadable."""
    whole = True
    if isinstance(source, Path):
        messages: AsyncIterator[record.Stored] = record.read_file(source, progress)
    else:
        span = await record.extent(source)
        whole = span.whole
        messages = record.read_stream(source, span, progress)
    verdict = Audit(whole=whole, operators=operators)
    async for stored in messages:
        verdict.add_raw(stored.raw, place=stored.place)
    return verdict.report()


def to_json(report: Report) -> str:
    """The report for programs, on one line."""
    return msgspec.json.encode({"passed": report.passed, **msgspec.to_builtins(report)}).decode()


def show(report: Report, console: Console) -> None:
    """Print producers, findings with their cures, and the verdict."""
    console.print(_producers(report))
    if report.findings:
        console.print(_findings(report))
        hidden = len(report.findings) - MAX_SHOWN
        if hidden > 0:
            console.print(Text(f"... and {hidden} more; --json has them all", "dim"))
        for kind in Kind:
            if any(finding.kind is kind for finding in report.findings):
                console.print(Text.assemble((f"{kind}: ", "bold"), CURES[kind]))
    if not report.whole:
        note = "The record was full and dropped its oldest events; what is left is verified."
        console.print(Text(note, "yellow"))
    if report.words:
        whose = "by an operator's key" if report.operators_known else "by keys not known here"
        console.print(f"{report.words} signed words of operators verified, {whose}")
    console.print(_verdict(report))


def _producers(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("producer", overflow="fold")
    table.add_column("events", justify="right")
    table.add_column("first", style="dim", no_wrap=True)
    table.add_column("last", style="dim", no_wrap=True)
    table.add_column("chain")
    for producer in report.producers:
        table.add_row(
            producer.source,
            str(producer.events),
            producer.first[:19].replace("T", " "),
            producer.last[:19].replace("T", " "),
            Text("ok", "green") if producer.ok else Text("broken", "bold red"),
        )
    return table


def _findings(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column("finding", style="red", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("what", overflow="fold")
    for finding in report.findings[:MAX_SHOWN]:
        where = f"{finding.source}\n{finding.event}".rstrip()
        table.add_row(str(finding.kind), Text(where), Text(finding.detail))
    return table


def _verdict(report: Report) -> Text:
    counted = f"{report.events} events, {report.incidents} incidents"
    if report.passed:
        text = f"The record proves itself: {counted}, every chain whole, every action has its cause"
        return Text(text, "bold green")
    return Text(f"{len(report.findings)} findings in {counted}", "bold red")


@contextlib.contextmanager
def _progress(console: Console, *, shown: bool) -> Iterator[record.Progress]:
    columns = (TextColumn("verifying"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("verifying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
