"""The observer's arithmetic: outages and the verdict."""

import pytest

from holdfast.ledger.report import Outages, Phase, Report, Seen, Verdict, judge


def test_the_longest_wait_counts_in_total_and_per_phase() -> None:
    outages = Outages(0.0, "calm")
    for now in (0.25, 0.5, 1.0):
        outages.acknowledged(now)
    assert outages.mark(1.25, "kill") == Phase("calm", 3, 0.5)
    outages.acknowledged(5.0)
    outages.acknowledged(5.25)
    assert outages.mark(5.5, "end") == Phase("kill", 2, 4.0)
    assert outages.longest == 4.0


def test_a_mark_in_the_middle_of_an_outage_does_not_hide_it() -> None:
    outages = Outages(0.0, "before")
    outages.acknowledged(1.0)
    assert outages.mark(4.0, "after").longest_outage == 3.0
    outages.acknowledged(6.0)
    assert outages.mark(6.0, "end").longest_outage == 5.0


def test_no_acknowledgement_at_all_is_one_long_outage() -> None:
    outages = Outages(10.0, "start")
    assert outages.mark(13.0, "end") == Phase("start", 0, 3.0)


@pytest.mark.parametrize(
    ("journal", "verdict"),
    [
        ([Seen(1, 1, "a"), Seen(2, 1, "b"), Seen(3, 2, "other")], Verdict(0, 0, True)),
        ([Seen(1, 1, "a")], Verdict(1, 0, True)),
        ([Seen(1, 1, "b"), Seen(2, 1, "a")], Verdict(2, 0, True)),
        ([Seen(1, 1, "a"), Seen(2, 1, "b"), Seen(3, 1, "a")], Verdict(0, 1, True)),
        ([Seen(1, 2, "a"), Seen(2, 1, "b")], Verdict(0, 0, False)),
    ],
)
def test_the_verdict_compares_promises_with_the_journal(
    journal: list[Seen], verdict: Verdict
) -> None:
    assert judge({"a": 1, "b": 2}, journal) == verdict
    report = Report(2, 0, 1.0, 0.1, (), verdict, None)
    assert report.ok == (verdict == Verdict(0, 0, True))


def test_an_observation_that_saw_nothing_is_not_ok() -> None:
    assert not Report(0, 0, 1.0, 1.0, (), Verdict(0, 0, True), None).ok
    assert not Report(5, 0, 1.0, 1.0, (), None, "no answer").ok
