"""The ordinary clients, as Debian packages them, and what a machine must have for a test."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

DEADLINE = 120.0
"""Seconds for any one command."""


def need(*tools: str) -> None:
    """Skip by name what is not installed; in CI, which installs all, that is a failure."""
    missing = ", ".join(tool for tool in tools if shutil.which(tool) is None)
    if missing:
        absent(f"not installed: {missing}")


def absent(what: str) -> NoReturn:
    """Skip; in CI, which installs all, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def need_devices(*devices: str) -> None:
    """Skip by name what this kernel or container does not offer, also in CI; and without root."""
    missing = ", ".join(device for device in devices if not Path(device).exists())
    if missing:
        pytest.skip(f"this machine has no {missing}")
    if os.geteuid() != 0:
        pytest.skip("only root may mount")


def run(*command: str | Path, code: int = 0) -> str:
    """What a command says on both streams. It must end with `code`."""
    ended = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=False,
    )
    said = ended.stdout.decode(errors="replace")
    assert ended.returncode == code, f"{command}: {ended.returncode}\n{said}"
    return said


def qemu_io(uri: str, *steps: str, code: int = 0) -> str:
    """Commands of qemu-io on a raw image, one after the other."""
    given = [part for step in steps for part in ("-c", step)]
    return run("qemu-io", "-f", "raw", *given, uri, code=code)
