"""One contestant: its cluster in a lab of its own, fault after fault, all gone at the end."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from holdfast.clock import monotonic
from tests.benchmarks.failover.contestant import NODES, Contestant, Maker
from tests.benchmarks.failover.probe import Answer, Probe
from tests.benchmarks.failover.results import HOST, Result, Run, delays, pause, split
from tests.support.lab import Lab, inside

POLLING = 10.0
"""Seconds: no contestant polls less often by default. Its intervals begin with the service."""
ANSWER_BEFORE = 20.0
ANSWER_AFTER = 120.0

Progress = Callable[[str], None]


async def measure(name: str, make: Maker, runs: int, progress: Progress) -> Result:
    """`runs` of every fault that the contestant is meant to survive.

    What goes wrong ends its runs, and is said in the result; its folder stays then.
    """
    done: list[Run] = []
    folder = _folder()
    title, versions, failure = name, dict[str, str](), ""
    try:
        with Lab.make(NODES) as lab, inside(lab.observer):
            contestant = make(lab, folder)
            title, versions = contestant.title, contestant.versions()
            async with _stopped(contestant):
                began = None
                for fault, number, point in _plan(contestant, runs):
                    progress(f"{name}: {fault} {number} of {runs}: making it whole")
                    await contestant.start()
                    if began is not None:
                        await asyncio.sleep(pause(point, monotonic() - began, POLLING))
                    run, began = await _one(contestant, fault)
                    done.append(run)
                    progress(f"{name}: {fault} {number} of {runs}: {told(done[-1])}")
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        progress(f"{name}: FAILED: {failure}; everything it wrote is in {folder}")
    finally:
        if not failure:
            shutil.rmtree(folder)
    return Result(name=name, title=title, versions=versions, runs=done, failure=failure)


def told(run: Run) -> str:
    """`8.34 s (detect 7.93, fence 0.10, start 0.31); alpha, beta; it also led: coordinator`"""
    phases = ", ".join(f"{name} {took:.2f}" for name, took in run.phases.items())
    where = run.answered_by if run.answered_by == run.owner else f"{run.owner}, {run.answered_by}"
    led = f"; it also led: {run.led}" if run.led else ""
    return f"{run.outage:.2f} s ({phases}); {where}{led}"


def _folder() -> Path:
    """Programs that give up root read what is theirs in it."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    folder.chmod(0o755)
    return folder


def _plan(contestant: Contestant, runs: int) -> Iterator[tuple[str, int, float]]:
    for fault in contestant.faults:
        for number, point in enumerate(delays(runs, POLLING), start=1):
            yield fault, number, point


async def _one(contestant: Contestant, fault: str) -> tuple[Run, float]:
    """One fault in a cluster that is whole; and when the service began to answer again."""
    owner = await contestant.owner()
    led = await contestant.led(owner)
    with Probe(contestant.urls).looking() as probe:
        old: Answer = await asyncio.to_thread(probe.answering, ANSWER_BEFORE)
        began = monotonic()
        if fault == HOST:
            await contestant.power_cut(owner)
        else:
            await contestant.kill_application(owner)
        new: Answer = await asyncio.to_thread(probe.next_instance, old, ANSWER_AFTER)
    marks = await contestant.phases(fault, owner, began, new.answered)
    run = Run(
        fault=fault,
        outage=new.answered - began,
        phases=split(began, marks, new.answered),
        owner=owner,
        answered_by=new.host,
        led=led,
    )
    return run, new.answered


@contextlib.asynccontextmanager
async def _stopped(contestant: Contestant) -> AsyncIterator[None]:
    """Whatever happens meanwhile."""
    try:
        yield
    finally:
        await contestant.stop()
