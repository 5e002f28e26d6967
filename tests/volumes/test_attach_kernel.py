"""A volume as a block device of a kernel with nbd: a user-mode Linux."""

import sys
from pathlib import Path

import pytest

from tests.support.uml import ENDED, MODULES, booted, module
from tests.volumes.tools import absent, need

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
INSIDE = "tests.volumes.attach_in_uml"
WITHIN = 200.0


def test_a_device_of_the_kernel(tmp_path: Path) -> None:
    need("linux.uml", "insmod", "ip", "nbd-client")
    nbd = module("nbd")
    if nbd is None:
        absent(f"no nbd module in {MODULES} (Debian: user-mode-linux)")
    commands = [f"insmod {nbd} nbds_max=2", f"exec {sys.executable} -m {INSIDE} 2>&1"]
    with booted(tmp_path, commands) as guest:
        _, ended = guest.seen(ENDED, within=WITHIN)
        assert ended == f"{ENDED} 0", guest.console
