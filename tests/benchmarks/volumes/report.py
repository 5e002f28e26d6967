"""The figures as a page. Pure."""

import statistics
from collections.abc import Iterator

import msgspec

from tests.benchmarks.volumes.loads import LOADS, Result
from tests.benchmarks.volumes.resync import Latency, Sent
from tests.benchmarks.volumes.servers import MIRROR, NAMES, NBDKIT, QUORUM, SYNC

BUSY = 1.0
"""Load average before, per core, above which figures say little."""
GIB = 1 << 30


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run."""

    time: str
    machine: dict[str, str]
    seconds: float
    """Of each load."""
    rounds: int
    results: dict[str, dict[str, list[Result]]] = {}
    """By load and server."""
    failures: dict[str, str] = {}
    """By server, or `resync`: why it was not measured."""
    sent: Sent | None = None
    latency: Latency | None = None


def median(results: list[Result]) -> Result:
    """Of each figure by itself."""
    return Result(
        *(
            statistics.median(getattr(one, field) for one in results)
            for field in ("per_second", "p50", "p99", "cpu")
        )
    )


def page(run: Measurement) -> str:
    """Markdown."""
    parts = ["# Volumes beside their peers", *_head(run), "## Loads", *_loads(run)]
    parts += ["## Goals", *_goals(run), "## Resync", *_resync(run)]
    parts += [f"- {name}: not measured: {why}" for name, why in run.failures.items()]
    return "\n\n".join(parts) + "\n"


def busy(run: Measurement) -> bool:
    """Whether the machine did much else."""
    load, cores = float(run.machine["load before"]), int(run.machine["cores"])
    return load > BUSY * cores


def _head(run: Measurement) -> Iterator[str]:
    facts = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    yield f"`make bench WHAT=volumes`, {run.time}: {facts}."
    if busy(run):
        yield "**The machine was busy with other work: the figures say that it works, no more.**"
    yield (
        f"Median of {run.rounds} rounds, {run.seconds:g} s of fio a load; each round all servers "
        "one after the other, on the same two files of one disk. `mirror`: write-blocking, to a "
        "second daemon over NBD; it flushes its own file alone. `quorum` of the same two: every "
        "write and flush goes to both, as with `sync`. CPU: microseconds of all processes of a "
        "server per request."
    )


def _loads(run: Measurement) -> Iterator[str]:
    rows = ["| load | server | per s | p50 µs | p99 µs | CPU µs |", "|---|---|---|---|---|---|"]
    for load in LOADS:
        for name in NAMES:
            if found := run.results.get(load, {}).get(name):
                one = median(found)
                figures = (one.per_second, one.p50, one.p99, one.cpu)
                rows.append(f"| {load} | {name} | {' | '.join(f'{f:,.0f}' for f in figures)} |")
    yield "\n".join(rows)


def _goals(run: Measurement) -> Iterator[str]:
    lines = ["| goal | found | |", "|---|---|---|"]
    slower = _ratio(run, "4k randwrite, depth 1", "p50", SYNC, NBDKIT)
    if slower is not None:
        text = "p50 of 4k writes at depth 1: sync ≤ 2 × nbdkit without a replica"
        lines.append(_row(text, f"{slower:.2f} ×", slower <= 2))
    for load in (one for one in LOADS if "write" in one):
        for mirror in (MIRROR, QUORUM):
            share = _ratio(run, load, "per_second", SYNC, mirror)
            if share is not None:
                lines.append(_row(f"{load}: sync ≥ 0.8 × {mirror}", f"{share:.2f} ×", share >= 0.8))
    if (sent := run.sent) is not None:
        text = "resync of 1 GiB dirtied in a sparse 1 TiB: ≤ 1.1 GiB sent"
        lines.append(_row(text, f"{sent.out / GIB:.3f} GiB", sent.out <= 1.1 * GIB))
    if (seen := run.latency) is not None:
        for beside, usual in (("both members", seen.before), ("one away", seen.alone)):
            ratio = seen.during / usual
            text = f"p99 of 4k writes during a resync ≤ 2 × that with {beside}"
            lines.append(_row(text, f"{ratio:.2f} ×", ratio <= 2))
    yield "\n".join(lines)


def _resync(run: Measurement) -> Iterator[str]:
    if (sent := run.sent) is not None:
        yield (
            f"Of {sent.dirtied / GIB:g} GiB that were written while a member was away, the event "
            f"says {sent.told:,} bytes; the kernel counted {sent.out:,} to it and {sent.back:,} "
            f"back on the connection. It took {sent.seconds:.1f} s with no other client."
        )
    if (seen := run.latency) is not None:
        yield (
            "The replica on a processor of its own, as on another host: "
            f"4 KiB writes at depth 1: p99 {seen.before:,.0f} µs with both members, "
            f"{seen.alone:,.0f} µs with one away, {seen.during:,.0f} µs during a resync of 1 GiB "
            f"({seen.writes:,} writes in {seen.seconds:.0f} s, in which "
            f"{100 * seen.share:.0f} % of it was done)."
        )


def _ratio(run: Measurement, load: str, field: str, ours: str, other: str) -> float | None:
    found = run.results.get(load, {})
    if not found.get(ours) or not found.get(other):
        return None
    value, against = (float(getattr(median(found[name]), field)) for name in (ours, other))
    return value / against


def _row(goal: str, found: str, met: bool) -> str:
    return f"| {goal} | {found} | {'met' if met else '**missed**'} |"
