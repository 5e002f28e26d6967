"""A volume as a block device of a kernel with nbd: a user-mode Linux."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.volumes.tools import absent, need

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
INSIDE = "tests.volumes.attach_in_uml"
MODULES = Path("/usr/lib/uml/modules")
WITHIN = 200.0


def test_a_device_of_the_kernel(tmp_path: Path) -> None:
    need("linux.uml", "insmod", "nbd-client")
    module = next(MODULES.glob("*/kernel/drivers/block/nbd.ko"), None)
    if module is None:
        absent(f"no nbd module in {MODULES} (Debian: user-mode-linux)")
    init = tmp_path / "init"
    init.write_text(
        "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
        "mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev\n"
        f"mount -t tmpfs tmp /run; insmod {module} nbds_max=2; cd {os.getcwd()}\n"
        f"{sys.executable} -m {INSIDE} >{tmp_path}/said 2>&1; echo ended $? >>{tmp_path}/said\n"
        "sync; echo o >/proc/sysrq-trigger; sleep 60\n"
    )
    init.chmod(0o755)
    kernel = ["linux.uml", "mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw"]
    subprocess.run(
        [*kernel, f"init={init}", "con=null", "con0=null", f"umid=holdfast-{os.getpid()}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
        timeout=WITHIN,
        check=False,
    )
    said = (tmp_path / "said").read_text()
    assert said.splitlines()[-1] == "ended 0", said
