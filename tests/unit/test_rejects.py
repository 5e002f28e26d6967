"""Rejected messages are counted, and reported rarely."""

from holdfast.errors import HoldfastError
from holdfast.events.system import MessageRejected
from holdfast.rejects import MAX_PAIRS, OTHER, Rejects


def test_reports_the_first_and_every_power_of_ten() -> None:
    reported: list[MessageRejected] = []
    rejects = Rejects(reported.append)
    for _ in range(1000):
        rejects.reject("ha.pulse.alpha", "malformed", "x")
    rejects.reject("ha.pulse.alpha", "stale", "y")
    assert [(r.kind, r.count) for r in reported] == [
        ("malformed", 1),
        ("malformed", 10),
        ("malformed", 100),
        ("malformed", 1000),
        ("stale", 1),
    ]
    assert rejects.counts["ha.pulse.alpha", "malformed"] == 1000


def test_a_flood_of_subjects_takes_no_more_room() -> None:
    reported: list[MessageRejected] = []
    rejects = Rejects(reported.append)
    for number in range(MAX_PAIRS + 1000):
        rejects.reject(f"ha.pulse.{number}", "malformed", "r" * 5000)
    assert len(rejects.counts) == MAX_PAIRS + 1
    assert rejects.counts[OTHER, OTHER] == 1000
    assert len(reported) == MAX_PAIRS + 4
    assert max(len(r.reason) for r in reported) == 1000


def test_a_full_spool_does_not_make_garbage_fatal() -> None:
    def full(rejected: MessageRejected) -> None:
        raise HoldfastError("full", place="spool", cure="free space")

    rejects = Rejects(full)
    rejects.reject("ha.pulse.alpha", "malformed", "x")
    assert rejects.counts["ha.pulse.alpha", "malformed"] == 1
