"""When something stands still, and what a service does whose event loop does."""

import subprocess
import sys
import time

from holdfast.standstill import LOOK_EVERY, OWN_STALL, Standstill

LIMIT = 10.0


def first_verdict(judge: Standstill, *, since: float, turns: int = 1) -> float:
    """When a counter that has stopped is called still, looked at every second."""
    now = since
    while not judge.look(turns, now):
        now += LOOK_EVERY
        assert now < since + 10 * LIMIT
    return now


def test_it_stands_still_once_the_limit_has_passed_without_a_turn() -> None:
    judge = Standstill(LIMIT)
    for second in range(100):
        assert not judge.look(second, 50.0 + second)
    assert first_verdict(judge, since=150.0, turns=99) == 149.0 + LIMIT


def test_one_turn_just_before_the_limit_is_enough() -> None:
    judge = Standstill(LIMIT)
    for now in range(10):
        assert not judge.look(1, now)
    assert not judge.look(2, 10.0)
    assert first_verdict(judge, since=11.0, turns=2) == 10.0 + LIMIT


def test_time_in_which_the_observer_stood_still_itself_does_not_count() -> None:
    judge = Standstill(LIMIT)
    assert not judge.look(1, 0.0)
    assert not judge.look(1, 1.0)
    woken = 1.0 + 3 * LIMIT
    assert first_verdict(judge, since=woken) == woken + LIMIT


def test_a_slow_observer_still_judges() -> None:
    judge = Standstill(LIMIT)
    now = 0.0
    while not judge.look(1, now):
        now += OWN_STALL
    assert now < 2 * LIMIT


HANGS = """
import asyncio, threading
from holdfast.heartbeat import Heartbeat

def stuck():
    threading.Lock().acquire() and threading.Event().wait()

async def main():
    Heartbeat(1.0).start()
    await asyncio.sleep(0.1)
    stuck()

asyncio.run(main())
"""


def test_a_service_whose_loop_hangs_ends_itself_and_says_where() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "CRITICAL the event loop has stood still for 1.0 s" in ended.stderr
    assert "in stuck" in ended.stderr


def test_a_log_that_nobody_reads_does_not_keep_it_alive() -> None:
    full = HANGS.replace(
        "stuck()\n\nasyncio", "import os; os.write(2, b'x' * 10_000_000)\n\nasyncio"
    )
    with subprocess.Popen([sys.executable, "-c", full], stderr=subprocess.PIPE) as process:
        began = time.monotonic()
        try:
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
        assert time.monotonic() - began < 30
