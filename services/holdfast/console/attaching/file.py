"""A volume as a file: nbdfuse, for a kernel without nbd, and for users who are not root."""

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

from msgspec.structs import replace

from holdfast.clock import monotonic, process_start_ticks
from holdfast.console.attaching.in_use import in_use, users
from holdfast.console.attaching.record import AttachError, Attachment

WITHIN = 20.0
"""Seconds to begin, and to end: what was written is written out then."""
POLL = 0.05


def possible() -> bool:
    """Whether this host has what it needs."""
    return os.access("/dev/fuse", os.R_OK | os.W_OK) and all(
        shutil.which(tool) for tool in ("nbdfuse", "fusermount3")
    )


def alive(attachment: Attachment) -> bool:
    """Whether it is there, and nbdfuse behind it."""
    try:
        return _mounted(Path(attachment.path)) and _runs(attachment)
    except OSError:  # nbdfuse died: the mount answers nothing
        return False


def attach(attachment: Attachment) -> Attachment:
    """Show the volume as the file. Raises AttachError; then nothing is left of it."""
    path = Path(attachment.path)
    path.touch(mode=0o600)
    log = _log(path)
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["nbdfuse", str(path), attachment.uri],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        _until_mounted(path, process, log)
        done = replace(attachment, pid=process.pid, ticks=process_start_ticks(process.pid))
    except BaseException:
        process.terminate()
        process.wait(WITHIN)
        _remove(path)
        raise
    process.returncode = 0  # it outlives this command, and is not waited for
    return done


def detach(attachment: Attachment) -> None:
    """Raises AttachError: it is in use, and stays as it is."""
    path = Path(attachment.path)
    # The kernel judges and acts in one: a file that is open or a loop device's is not unmounted.
    if _shown(path):
        ended = subprocess.run(
            ["fusermount3", "-u", str(path)], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise in_use(path, "; ".join(users(path)) or ended.stderr.strip())
    _wait_until_gone(attachment)
    _remove(path)


def _log(path: Path) -> Path:
    return path.with_name(f".{path.name}.log")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _log(path).unlink(missing_ok=True)


def _until_mounted(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + WITHIN
    while not _mounted(path):
        if process.poll() is not None or monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise AttachError(
                f"nbdfuse does not begin: {said[-1] if said else 'it says nothing'}",
                place=str(path),
                cure="may this user mount? else use the URI that `--uri` prints",
            )
        time.sleep(POLL)


def _mounted(path: Path) -> bool:
    """Raises OSError if nobody is behind it."""
    return path.exists() and path.stat().st_dev != path.parent.stat().st_dev


def _shown(path: Path) -> bool:
    try:
        return _mounted(path)
    except OSError:
        return True


def _runs(attachment: Attachment) -> bool:
    try:
        return process_start_ticks(attachment.pid) == attachment.ticks
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait_until_gone(attachment: Attachment) -> None:
    """What it has not written yet is written before it ends."""
    try:
        process = os.pidfd_open(attachment.pid) if attachment.pid else -1
    except ProcessLookupError:
        return
    try:
        if process < 0 or not _runs(attachment):
            return
        waiting = select.poll()
        waiting.register(process, select.POLLIN)
        if not waiting.poll(WITHIN * 1000):
            raise AttachError(
                f"unmounted, but nbdfuse (process {attachment.pid}) does not end",
                place=attachment.path,
                cure="is the volume served? look again, then detach again",
            )
    finally:
        if process >= 0:
            os.close(process)
