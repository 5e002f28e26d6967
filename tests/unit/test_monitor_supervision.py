"""Probes that fail, hang or are let go: what the crew says, and what it leaves behind."""

import asyncio
import threading

import pytest

from holdfast.events.fields import Health, Layer
from holdfast.monitor import supervise
from holdfast.monitor.crew import Crew
from holdfast.monitor.observation import Observation, Subject
from holdfast.monitor.probes.base import Probe, ProbeUnavailable, Report
from holdfast.monitor.probes.patient import PatientCall
from holdfast.wire import WatchedResource
from tests.support.waiting import until

SUBJECT = Subject(entity="resource/g/r", node="alpha", layer=Layer.APPLICATION, probe="test")


class Moody:
    """Fails as often as it is told to, then reports and waits."""

    def __init__(self, *failures: Exception) -> None:
        self.subject = SUBJECT
        self.failures = list(failures)
        self.cancelled = asyncio.Event()

    async def run(self, report: Report) -> None:
        if self.failures:
            raise self.failures.pop(0)
        report(self.subject.seen(Health.OK, "at last"))
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


def crew_of(seen: list[Observation], probe: Probe) -> tuple[Crew, list[object]]:
    told: list[object] = []
    crew = Crew(seen.append, lambda _: [probe], lambda *pair: told.append(pair), told.append)
    return crew, told


async def test_a_failing_probe_is_blind_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_BACKOFF", 0.01)
    seen: list[Observation] = []
    unavailable = ProbeUnavailable("no such file", place="/proc/x", cure="mount it")
    probe = Moody(unavailable, ValueError("defect"))
    crew, _ = crew_of(seen, probe)
    crew.start([probe])
    await until(lambda: len(seen) == 3)
    await crew.dismiss()
    assert [one.state for one in seen] == [Health.UNKNOWN, Health.UNKNOWN, Health.OK]
    assert seen[0].reason == "/proc/x: no such file; cure: mount it"
    assert "defect" in seen[1].reason


async def test_a_defect_of_the_monitor_itself_is_told() -> None:
    def broken(seen: Observation) -> None:
        raise RuntimeError("core")

    faults: list[BaseException] = []
    crew = Crew(broken, lambda _: [], lambda *_: None, faults.append)
    crew.start([Moody()])
    await until(lambda: bool(faults))
    assert str(faults[0]) == "core"


async def test_only_a_new_instance_gets_new_probes() -> None:
    seen: list[Observation] = []
    probe = Moody()
    crew, told = crew_of(seen, probe)
    one = WatchedResource(group="g", resource="r", instance="1:1", pid=1)
    two = WatchedResource(group="g", resource="r", instance="2:2", pid=2)
    crew.watch([one])
    await until(lambda: len(seen) == 1)
    crew.watch([one])
    assert told == []
    crew.watch([two])
    await asyncio.wait_for(probe.cancelled.wait(), 10)
    await until(lambda: len(seen) == 2)
    crew.watch([])
    assert told == [(one, two), (two, None)]
    await crew.dismiss()


async def test_a_call_that_hangs_is_not_repeated_and_its_late_answer_counts() -> None:
    release = threading.Event()
    calls: list[int] = []

    def hang() -> int:
        calls.append(1)
        release.wait(30)
        return len(calls)

    call = PatientCall(hang)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await call(0.02)
    assert len(calls) == 1
    release.set()
    assert await call(10) == 1
    assert await call(10) == 2


async def test_a_call_that_raises_is_asked_anew() -> None:
    answers: list[Exception | int] = [FileNotFoundError("gone"), 7]

    def answer() -> int:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    call = PatientCall(answer)
    with pytest.raises(FileNotFoundError):
        await call(10)
    assert await call(10) == 7
