"""Real hands with a real kernel's watchdog: softdog in a user-mode Linux, seen from outside of it.

Whether the guest was reset is seen on its console alone, and so is when; on this machine's clock.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.timing import PROFILES
from tests.support.uml import ENDED, MODULES, Guest, booted, module
from tests.volumes.tools import absent, need

pytestmark = [pytest.mark.fencing, pytest.mark.timeout(300)]
TIMING = PROFILES["standard"]
TIMEOUT = 6
"""Seconds: the longest in whole seconds that a lease leaves at the standard profile."""
WITHIN = 120.0
LATE = 1.0
"""Seconds by which a busy machine may tell the console's lines too late."""
RESET, TICK = "Initiating system reboot", "guest: tick"
SILENT = 2.0
"""Seconds without a word from what ran in a guest, after which it is gone."""


@contextlib.contextmanager
def guest(folder: Path, scene: str, *modules: str, device: str) -> Iterator[Guest]:
    """One that plays a scene at its first boot. `modules`: what to load, with parameters."""
    need("linux.uml", "insmod", "ip")
    loads = []
    for name, *parameters in (text.split() for text in modules):
        path = module(name)
        if path is None:
            absent(f"no {name} module in {MODULES} (Debian: user-mode-linux)")
        loads.append(f"insmod {path} {' '.join(parameters)}")
    commands = [
        f"if [ -e {folder}/booted ]; then exit 0; fi",
        f"touch {folder}/booted; sync",
        *loads,
        f"exec {sys.executable} -m tests.support.watchdog_guest {scene} {device}",
    ]
    with booted(folder, commands) as made:
        yield made


@contextlib.contextmanager
def softdog(folder: Path, scene: str, *, nowayout: int = 0) -> Iterator[Guest]:
    """The first /dev/watchdog of that kernel is its host's own, which is not there."""
    with guest(folder, scene, f"softdog nowayout={nowayout}", device="/dev/watchdog1") as made:
        yield made


def reset_after(made: Guest) -> float:
    """Seconds from the fault until the kernel resets the guest; what ran there runs no more.

    That kernel is not always able to boot again, so nothing is asked of the next boot.
    """
    began, _ = made.seen("guest: the fault", within=WITHIN)
    reset, _ = made.seen(RESET, within=WITHIN)
    time.sleep(SILENT)
    assert made.last(TICK) < reset + LATE
    return reset - began


def test_a_guest_lives_while_it_is_petted_and_once_it_is_disarmed(tmp_path: Path) -> None:
    with softdog(tmp_path, "lives") as made:
        made.seen(f"{ENDED} 0", within=WITHIN)
        assert made.console.count("guest: alive") == 3, made.console
        assert made.find(RESET) is None


def test_a_guest_whose_lease_ends_has_stopped_and_lives(tmp_path: Path) -> None:
    with softdog(tmp_path, "cut_off") as made:
        made.seen("guest: alive", within=WITHIN)
        made.seen(f"{ENDED} 0", within=WITHIN)
        assert made.find(RESET) is None


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_guest_is_reset_when_its_hands_are(tmp_path: Path, fault: str) -> None:
    with softdog(tmp_path, fault) as made:
        after = reset_after(made)
    assert TIMEOUT - TIMING.renew_every - LATE < after < TIMEOUT + LATE


def test_a_guest_is_reset_when_its_lease_ends_and_something_does_not_stop(tmp_path: Path) -> None:
    """The hands are well, and pet it no more: nobody acknowledges a renewal."""
    with softdog(tmp_path, "unrenewed") as made:
        after = reset_after(made)
    lease = TIMING.ttl - TIMING.margin
    assert lease - TIMING.renew_every - LATE < after < lease + LATE


def test_one_that_cannot_be_disarmed_is_refused_and_resets_no_idle_guest(tmp_path: Path) -> None:
    """This kernel shows `nowayout` nowhere: it is found out by trying to stop it."""
    with softdog(tmp_path, "nowayout", nowayout=1) as made:
        _, refused = made.seen("guest: refused", within=WITHIN)
        made.seen("guest: alive", within=WITHIN)
        after = reset_after(made)
    assert "nowayout is set" in refused
    assert after < TIMEOUT + LATE, "it had been counting all the time"


def test_a_driver_that_grants_more_than_the_lease_leaves_is_refused(tmp_path: Path) -> None:
    device = "/dev/watchdog7 8 60"
    with guest(tmp_path, "too_long", "fuse", "cuse", device=device) as made:
        _, refused = made.seen("guest: refused", within=WITHIN)
        made.seen(f"{ENDED} 0", within=WITHIN)
    assert "it takes 8 s, and the lease leaves 6 s" in refused


def test_a_driver_that_grants_less_is_petted_by_what_it_granted(tmp_path: Path) -> None:
    device = "/dev/watchdog7 1 4"
    with guest(tmp_path, "shorter", "fuse", "cuse", device=device) as made:
        _, petted = made.seen("guest: last petted", within=WITHIN)
        made.seen(f"{ENDED} 0", within=WITHIN)
    last = float(petted.split()[3])
    lease = TIMING.ttl - TIMING.margin
    assert lease - 4 - TIMING.renew_every - LATE < last < lease - 4, "and no later"
