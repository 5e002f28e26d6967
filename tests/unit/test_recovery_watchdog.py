"""When the hands arm, pet and disarm the watchdog; and the numbers of the kernel's interface."""

import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.events import Draft, Health
from holdfast.events.health import HealthSignal
from holdfast.notifier.core import notable
from holdfast.recovery.watchdog import JUST_BEFORE, NOT_FRESH, TRY_AGAIN, Watchdog
from holdfast.recovery.watchdog_device import (
    CAN_CLOSE,
    CAN_SET_TIMEOUT,
    GET_SUPPORT,
    GET_TIMEOUT,
    KEEP_ALIVE,
    SET_OPTIONS,
    SET_TIMEOUT,
    START,
    STOP,
    KernelWatchdog,
    Unstoppable,
    WatchdogError,
)
from holdfast.recovery.watchdog_signals import WatchdogSignals

HEADER = Path("/usr/include/linux/watchdog.h")


class Counter:
    """A device on a clock of the test's."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.broken = False
        self.stoppable = True
        self.longest = 60

    def open(self, timeout: int, *, idle: bool) -> int:
        self._do(f"open {timeout}")
        if idle:
            self._can_stop()
        return min(timeout, self.longest)

    def pet(self) -> None:
        self._do("pet")

    def close(self) -> None:
        self._can_stop()
        self._do("close")

    def _can_stop(self) -> None:
        if not self.stoppable:
            raise Unstoppable("nowayout is set", place="test", cure="none")

    def _do(self, word: str) -> None:
        if self.broken:
            raise WatchdogError("broken", place="test", cure="none")
        self.words.append(word)


def test_it_is_petted_only_while_the_lease_outlasts_it() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    assert dog.arm(valid_until=105.9, now=100.0, owns=False) == NOT_FRESH
    assert dog.arm(valid_until=106.3, now=100.0, owns=False) == ""
    assert dog.arm(valid_until=0.0, now=100.1, owns=True) == "", "it is armed already"
    dog.look(106.3, 100.2, owns=True)
    dog.look(106.3, 100.31, owns=True)
    dog.look(0.0, 100.4, owns=True)
    assert device.words == ["open 6", "pet"]
    assert dog.last_pet(106.3) == pytest.approx(100.3 - JUST_BEFORE)
    report = dog.report()
    assert report is not None
    assert (report.armed, report.timeout) == (True, 6.0)


def test_it_is_disarmed_when_nothing_runs_and_not_armed_for_nothing() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    dog.look(106.3, 100.0, owns=False)
    dog.idle()
    assert device.words == []
    dog.arm(106.3, 100.0, owns=False)
    dog.idle()
    assert device.words == ["open 6", "close"]
    assert dog.last_pet(106.3) is None


def test_a_successor_arms_it_with_its_first_renewal() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    dog.look(105.0, 100.0, owns=True)
    assert device.words == [], "the lease of the journal is no renewal"
    dog.look(107.3, 101.0, owns=True)
    assert device.words == ["open 6"]


def test_what_cannot_be_armed_says_so_and_is_tried_again() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    device.broken = True
    assert "broken" in dog.arm(106.3, 100.0, owns=False)
    report = dog.report()
    assert report is not None
    assert (report.armed, report.problem) == (False, "broken")
    device.broken = False
    dog.look(106.3, 100.1, owns=False)
    assert device.words == []
    now = 100.0 + TRY_AGAIN
    dog.look(now + 6.3, now, owns=False)
    assert device.words == ["open 6", "close"]
    report = dog.report()
    assert report is not None
    assert report.problem == ""


def test_one_that_is_petted_in_vain_says_so_until_it_is_not() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    recorded: list[Draft] = []
    signals = WatchdogSignals("alpha", "boot-1", recorded.append)
    dog.arm(106.3, 100.0, owns=False)
    for broken in (False, True, True, False, False):
        device.broken = broken
        dog.look(106.3, 100.1, owns=True)
        signals.see(dog.report())
    failed, well = [draft.data for draft in recorded]
    assert isinstance(failed, HealthSignal)
    assert isinstance(well, HealthSignal)
    assert (failed.state, failed.reason, failed.probe) == (Health.FAILED, "broken", "watchdog")
    assert (well.state, well.previous) == (Health.OK, Health.FAILED)
    assert recorded[1].cause == recorded[0].id, "one incident"
    assert [notable(data, None) for data in (failed, well)] == [True, False]


def test_one_that_cannot_be_stopped_is_never_well_again() -> None:
    """Not even when it can be petted again."""
    device = Counter()
    device.stoppable = False
    dog = Watchdog(device, 6)
    dog.arm(106.3, 100.0, owns=False)
    for broken in (True, False):
        device.broken = broken
        dog.look(106.3, 100.1, owns=False)
    report = dog.report()
    assert report is not None
    assert report.problem
    assert "cannot be armed" in dog.arm(206.3, 200.0, owns=False)


def test_one_that_cannot_be_stopped_guards_nothing_and_resets_nothing() -> None:
    device = Counter()
    device.stoppable = False
    dog = Watchdog(device, 6)
    assert "nowayout" in dog.arm(106.3, 100.0, owns=False)
    report = dog.report()
    assert report is not None
    assert (report.armed, report.problem) == (False, "nowayout is set")
    dog.look(0.0, 101.0, owns=False)
    dog.idle()
    assert "nowayout" in dog.arm(200.0, 102.0, owns=False)
    dog.look(200.0, 102.0 + TRY_AGAIN, owns=False)
    assert device.words == ["open 6", "pet", "pet"], "lease or not, and never opened again"


def test_one_that_does_not_stop_when_nothing_runs_any_more_is_petted_on() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    device.stoppable = False
    dog.look(106.3, 100.0, owns=True)
    assert device.words == ["open 6"], "what runs is not left unguarded for a trial"
    dog.idle()
    dog.look(0.0, 110.0, owns=False)
    assert device.words == ["open 6", "pet"]
    assert "nowayout" in dog.arm(206.3, 200.0, owns=False)


def test_a_shorter_time_than_asked_for_is_what_it_is_petted_by_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = Counter()
    device.longest = 4
    dog = Watchdog(device, 6)
    assert dog.arm(105.9, 100.0, owns=False) == NOT_FRESH
    assert dog.arm(106.3, 100.0, owns=False) == ""
    assert "at most 4 of 6 s" in caplog.text
    dog.look(106.3, 102.2, owns=True)
    dog.look(106.3, 102.4, owns=True)
    assert device.words == ["open 6", "pet"]
    assert dog.last_pet(106.3) == pytest.approx(102.3 - JUST_BEFORE)
    report = dog.report()
    assert report is not None
    assert (report.armed, report.timeout, report.problem) == (True, 4.0, "")


def test_a_node_without_one_needs_none() -> None:
    dog = Watchdog(None, 6)
    assert dog.arm(0.0, 100.0, owns=False) == ""
    assert dog.report() is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/dev/null", "no watchdog"), ("/dev/no-such-watchdog", "No such file"), ("/", "neither")],
)
def test_what_is_no_watchdog_is_refused(path: str, problem: str) -> None:
    with pytest.raises(WatchdogError, match=problem) as refused:
        KernelWatchdog(path).open(6, idle=True)
    assert refused.value.place == path


@pytest.mark.skipif(
    shutil.which("cc") is None or not HEADER.exists(), reason="no C compiler, or no kernel headers"
)
def test_the_numbers_are_those_of_the_kernels_header(tmp_path: Path) -> None:
    names = ["WDIOC_GETSUPPORT", "WDIOC_SETOPTIONS", "WDIOC_KEEPALIVE", "WDIOC_SETTIMEOUT"]
    names += ["WDIOC_GETTIMEOUT", "WDIOF_SETTIMEOUT", "WDIOF_MAGICCLOSE", "WDIOS_DISABLECARD"]
    names += ["WDIOS_ENABLECARD", "sizeof(struct watchdog_info)"]
    source = tmp_path / "numbers.c"
    source.write_text(
        "#include <stdio.h>\n#include <linux/watchdog.h>\nint main(void) {\n"
        + "".join(f'printf("%lu\\n", (unsigned long)({name}));\n' for name in names)
        + "return 0; }\n"
    )
    subprocess.run(["cc", "-o", tmp_path / "numbers", source], check=True, timeout=60)
    said = subprocess.run([tmp_path / "numbers"], capture_output=True, check=True, timeout=10)
    numbers = [int(line) for line in said.stdout.split()]
    words = [GET_SUPPORT, SET_OPTIONS, KEEP_ALIVE, SET_TIMEOUT, GET_TIMEOUT]
    assert numbers == [*words, CAN_SET_TIMEOUT, CAN_CLOSE, STOP, START, 40]
