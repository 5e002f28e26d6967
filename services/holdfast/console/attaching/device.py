"""A volume as a block device: the kernel's nbd driver, by nbd-client. Root only."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

from msgspec.structs import replace

from holdfast.console.attaching.in_use import in_use, users
from holdfast.console.attaching.record import AttachError, Attachment

WITHIN = 20.0
"""Seconds for one run of nbd-client."""
BLOCKS = Path("/sys/block")


def possible() -> bool:
    """Whether this host has what it needs; the driver is loaded if it can be."""
    if os.geteuid() != 0 or shutil.which("nbd-client") is None:
        return False
    if not _devices() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", "nbd"], check=False, timeout=WITHIN)
    return bool(_devices())


def free() -> Path:
    """A device that nobody uses. Raises AttachError."""
    for name in _devices():
        if not _client(name):
            return Path("/dev") / name
    raise AttachError(
        "every device of the nbd driver is in use",
        place="/dev/nbd*",
        cure="detach one, or load the module with a larger `nbds_max`",
    )


def alive(attachment: Attachment) -> bool:
    """Whether the device is connected, and by the one who was told to."""
    return bool(attachment.pid) and _client(Path(attachment.path).name) == attachment.pid


def attach(attachment: Attachment, socket: str) -> Attachment:
    """Connect the device. Raises AttachError."""
    path = Path(attachment.path)
    _run(["nbd-client", "-unix", socket, str(path), "-name", attachment.volume], path)
    return replace(attachment, pid=_client(path.name))


def detach(attachment: Attachment) -> None:
    """Raises AttachError: it is in use, and stays as it is."""
    path = Path(attachment.path)
    client = _client(path.name)
    if not client or client != attachment.pid:
        return  # others disconnected it, and may have given it away again
    if found := users(path):
        raise in_use(path, "; ".join(found))
    try:
        # Held while it is disconnected: nobody mounts it meanwhile.
        held = os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise in_use(path, "the kernel says so") from error
        held = -1  # it answers nothing any more
    try:
        _run(["nbd-client", "-d", str(path)], path)
    finally:
        if held >= 0:
            os.close(held)


def _devices() -> list[str]:
    """Without partitions, the lowest first."""
    names = [path.name for path in BLOCKS.glob("nbd*") if re.fullmatch(r"nbd\d+", path.name)]
    return sorted(names, key=lambda name: int(name[3:]))


def _client(name: str) -> int:
    """The process that connected it; 0: nobody."""
    try:
        return int((BLOCKS / name / "pid").read_text())
    except (OSError, ValueError):
        return 0


def _run(command: list[str], path: Path) -> None:
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN,
            stdin=subprocess.DEVNULL,
        )
        code, said = ended.returncode, (ended.stderr or ended.stdout).strip()
    except subprocess.TimeoutExpired:
        code, said = -1, f"it does not end within {WITHIN:g} s"
    if code:
        raise AttachError(
            f"nbd-client: {said.splitlines()[-1] if said else f'exit code {code}'}",
            place=str(path),
            cure="see the kernel's log; the URI that `--uri` prints works without the driver",
        )
