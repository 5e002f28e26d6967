"""When the hands arm, pet and disarm the watchdog; and the numbers of the kernel's interface."""

import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.recovery.watchdog import JUST_BEFORE, NOT_FRESH, TRY_AGAIN, Watchdog
from holdfast.recovery.watchdog_device import (
    CAN_CLOSE,
    CAN_SET_TIMEOUT,
    GET_SUPPORT,
    KEEP_ALIVE,
    SET_TIMEOUT,
    KernelWatchdog,
    WatchdogError,
)

HEADER = Path("/usr/include/linux/watchdog.h")


class Counter:
    """A device on a clock of the test's."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.broken = False

    def open(self, timeout: int) -> None:
        self._do(f"open {timeout}")

    def pet(self) -> None:
        self._do("pet")

    def close(self) -> None:
        self._do("close")

    def _do(self, word: str) -> None:
        if self.broken:
            raise WatchdogError("broken", place="test", cure="none")
        self.words.append(word)


def test_it_is_petted_only_while_the_lease_outlasts_it() -> None:
    device = Counter()
    dog = Watchdog(device, 6)
    assert dog.arm(valid_until=105.9, now=100.0) == NOT_FRESH
    assert dog.arm(valid_until=106.3, now=100.0) == ""
    assert dog.arm(valid_until=0.0, now=100.1) == "", "it is armed already"
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
    dog.arm(106.3, 100.0)
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
    assert "broken" in dog.arm(106.3, 100.0)
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


def test_a_node_without_one_needs_none() -> None:
    dog = Watchdog(None, 6)
    assert dog.arm(0.0, 100.0) == ""
    assert dog.report() is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/dev/null", "no watchdog"), ("/dev/no-such-watchdog", "No such file"), ("/", "neither")],
)
def test_what_is_no_watchdog_is_refused(path: str, problem: str) -> None:
    with pytest.raises(WatchdogError, match=problem) as refused:
        KernelWatchdog(path).open(6)
    assert refused.value.place == path


@pytest.mark.skipif(
    shutil.which("cc") is None or not HEADER.exists(), reason="no C compiler, or no kernel headers"
)
def test_the_numbers_are_those_of_the_kernels_header(tmp_path: Path) -> None:
    names = ["WDIOC_GETSUPPORT", "WDIOC_SETTIMEOUT", "WDIOC_KEEPALIVE"]
    names += ["WDIOF_SETTIMEOUT", "WDIOF_MAGICCLOSE", "sizeof(struct watchdog_info)"]
    source = tmp_path / "numbers.c"
    source.write_text(
        "#include <stdio.h>\n#include <linux/watchdog.h>\nint main(void) {\n"
        + "".join(f'printf("%lu\\n", (unsigned long)({name}));\n' for name in names)
        + "return 0; }\n"
    )
    subprocess.run(["cc", "-o", tmp_path / "numbers", source], check=True, timeout=60)
    said = subprocess.run([tmp_path / "numbers"], capture_output=True, check=True, timeout=10)
    numbers = [int(line) for line in said.stdout.split()]
    assert numbers == [GET_SUPPORT, SET_TIMEOUT, KEEP_ALIVE, CAN_SET_TIMEOUT, CAN_CLOSE, 40]
