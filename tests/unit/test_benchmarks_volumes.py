"""The pure part of the benchmark of volumes: its page."""

from msgspec.structs import replace

from tests.benchmarks.volumes.loads import LOADS, Result
from tests.benchmarks.volumes.report import GIB, Measurement, busy, median, page
from tests.benchmarks.volumes.resync import Latency, Sent
from tests.benchmarks.volumes.servers import MIRROR, NAMES, NBDKIT, SYNC

FIRST = "4k randwrite, depth 1"
RUN = Measurement(
    time="2026-01-01 00:00 UTC",
    machine={"cores": "2", "load before": "0.10"},
    seconds=2,
    rounds=3,
    results={load: {name: [Result(1000, 100, 200, 50)] * 3 for name in NAMES} for load in LOADS},
    sent=Sent(dirtied=GIB, told=GIB, out=GIB + 5, back=7, seconds=9.5),
    latency=Latency(before=100, alone=90, during=150, writes=1000, seconds=12, share=1.0),
)


def _with(load: str, server: str, *results: Result) -> Measurement:
    of_load = {**RUN.results[load], server: list(results)}
    return replace(RUN, results={**RUN.results, load: of_load})


def test_one_odd_round_does_not_count() -> None:
    results = [Result(10, 1, 5, 3), Result(1, 100, 900, 30), Result(12, 2, 4, 2)]
    assert median(results) == Result(10, 2, 5, 3)


def test_a_page_has_every_figure_and_judges_the_goals() -> None:
    text = page(RUN)
    assert text.count("| 1,000 | 100 | 200 | 50 |") == len(LOADS) * len(NAMES)
    assert "missed" not in text
    assert "1.000 GiB | met" in text
    assert "1.50 × | met" in text
    assert f"{GIB:,} bytes" in text


def test_a_goal_that_is_missed_is_said() -> None:
    slow = page(_with(FIRST, SYNC, Result(700, 201, 300, 60)))
    assert "2.01 × | **missed**" in slow
    assert "0.70 × | **missed**" in slow
    much = page(replace(RUN, sent=Sent(GIB, GIB, 2 * GIB, 0, 1.0)))
    assert "2.000 GiB | **missed**" in much
    late = page(replace(RUN, latency=Latency(100, 90, 201, 1, 1.0, 0.5)))
    assert "2.01 × | **missed**" in late
    assert "50 % of it was done" in late


def test_what_was_not_measured_is_named_and_judged_by_nobody() -> None:
    without = _with(FIRST, NBDKIT)
    text = page(replace(without, failures={NBDKIT: "RuntimeError: no"}, sent=None, latency=None))
    assert "nbdkit file: not measured: RuntimeError: no" in text
    assert "without a replica" not in text
    assert f"{FIRST}: sync ≥ 0.8 × {MIRROR}" in text
    assert "GiB" not in text


def test_a_busy_machine_is_said() -> None:
    assert not busy(RUN)
    loaded = replace(RUN, machine={**RUN.machine, "load before": "2.01"})
    assert busy(loaded)
    assert "**The machine was busy" in page(loaded)
    assert "**The machine was busy" not in page(RUN)
