"""A file as a block device, which has a page cache of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def loop_device(file: Path) -> Iterator[Path]:
    """Skips by name without losetup, root or loop devices."""
    if shutil.which("losetup") is None:
        pytest.skip("not installed: losetup")
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("only root may make loop devices, where the kernel offers them")
    made = subprocess.run(
        ["losetup", "--find", "--show", str(file)], capture_output=True, text=True, timeout=20.0
    )
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        yield Path(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True, timeout=20.0)
