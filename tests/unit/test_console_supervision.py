"""When a program that ended is started again."""

from pathlib import Path

import pytest

from holdfast.console.launcher import children
from holdfast.console.launcher.bus_care import needs_restart
from holdfast.console.launcher.supervision import (
    LONGEST_DELAY,
    STEADY_AFTER,
    GiveUp,
    Program,
    Restart,
    after_exit,
    describe_exit,
)

SERVICE = Program(name="monitor", argv=["monitor"])
BUS = Program(name="nats-server", argv=["nats-server"], is_service=False)


@pytest.mark.parametrize("code", [0, 1, -9, -15, 137])
def test_any_end_is_followed_by_a_restart(code: int) -> None:
    verdict = after_exit(SERVICE, code, ran=3.0, failures=0)
    assert isinstance(verdict, Restart)
    assert 0 < verdict.after < 1
    assert verdict.failures == 1


def test_delays_grow_and_stay_bounded() -> None:
    failures, delays = 0, []
    for _ in range(2000):
        verdict = after_exit(SERVICE, 1, ran=0.1, failures=failures)
        assert isinstance(verdict, Restart)
        failures = verdict.failures
        delays.append(verdict.after)
    assert delays == sorted(delays)
    assert delays[0] < delays[-1] == LONGEST_DELAY


def test_a_long_run_forgives_earlier_failures() -> None:
    verdict = after_exit(SERVICE, 1, ran=STEADY_AFTER, failures=9)
    assert verdict == after_exit(SERVICE, 1, ran=0.0, failures=0)


def test_a_service_that_says_restarting_is_useless_is_left() -> None:
    assert isinstance(after_exit(SERVICE, 2, ran=0.1, failures=0), GiveUp)
    assert isinstance(after_exit(SERVICE, 2, ran=STEADY_AFTER, failures=5), GiveUp)


def test_exit_code_2_of_another_program_has_no_such_meaning() -> None:
    assert isinstance(after_exit(BUS, 2, ran=0.1, failures=0), Restart)


def test_exits_in_words() -> None:
    assert describe_exit(3) == "ended with exit code 3"
    assert describe_exit(-9) == "was ended by SIGKILL"
    assert describe_exit(-200) == "was ended by signal 200"


def test_a_log_is_bounded_while_its_writer_has_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "MAX_LOG_BYTES", 100)
    log = tmp_path / "monitor.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 80)
        children.bound(log)
        assert log.stat().st_size == 80
        writer.write(b"b" * 80)
        children.bound(log)
        assert log.stat().st_size == 0
        assert log.with_suffix(".log.1").read_bytes() == b"a" * 20 + b"b" * 80
        writer.write(b"c")
        assert log.read_bytes() == b"c"


FULL = "JetStream stream 'E' write error: no space left on device"
DISABLED = "JetStream not enabled (10076)"


@pytest.mark.parametrize(
    ("said", "was_well", "free", "since", "restart"),
    [
        (FULL, False, 1 << 30, 60.0, True),
        (FULL, True, 1 << 20, 60.0, False),
        (FULL, True, 1 << 30, 59.0, False),
        (DISABLED, True, 1 << 30, 60.0, True),
        (DISABLED, False, 1 << 30, 60.0, False),
        ("JetStream is not current with the meta leader", True, 1 << 30, 60.0, False),
        ("", True, 1 << 30, 60.0, False),
    ],
)
def test_a_server_that_met_a_full_disk_is_restarted_when_there_is_room(
    said: str, was_well: bool, free: int, since: float, restart: bool
) -> None:
    assert needs_restart(said, was_well=was_well, free=free, since_last=since) is restart
