"""What is attached on this host, as one small file a volume, so that `detach` undoes just that."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.console import files
from holdfast.errors import HoldfastError

HOST_WIDE = Path("/run/holdfast/volumes")
"""Gone after a boot, as are the attachments."""


class AttachError(HoldfastError):
    """It could not be attached, or detached: it is as it was."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """Written before anything is done, and again when it is."""

    volume: str
    uri: str
    how: Literal["device", "file"]
    path: str
    """Of the block device or file."""
    door: str = ""
    """Which socket it was: after a restart of its data path, or a move, there is another one."""
    pid: int = 0
    """Whom the kernel names for the device; of nbdfuse. 0: it was not finished."""
    ticks: int = 0
    """Of nbdfuse: its start, which with the pid names the process."""


class Shelf:
    """The attachments of this host, or of a user, in one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises AttachError: there is no usual place for this user."""
        self.folder = folder.absolute() if folder is not None else _usual()

    @contextmanager
    def locked(self, volume: str) -> Iterator[None]:
        """One command at a time for a volume. Raises FileError, AttachError."""
        lock = files.folder(self.folder) / f".{volume}.lock"
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise AttachError(
                "another command attaches or detaches it now",
                place=f"volume {volume}",
                cure="wait for that one to end",
            ) from error
        finally:
            os.close(descriptor)

    def file_of(self, volume: str) -> Path:
        """Where nbdfuse shows it."""
        return self.folder / volume

    def read(self, volume: str) -> Attachment | None:
        """None: it is not attached. Raises AttachError."""
        try:
            return msgspec.json.decode(self._record(volume).read_bytes(), type=Attachment)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise AttachError(
                f"what was attached cannot be read: {error}",
                place=str(self._record(volume)),
                cure="look at `mount` and `nbd-client -c`, end it by hand, remove this file",
            ) from error

    def keep(self, attachment: Attachment) -> None:
        """Raises FileError."""
        files.write(self._record(attachment.volume), msgspec.json.encode(attachment))

    def forget(self, volume: str) -> None:
        """It is not attached any more. Raises FileError."""
        try:
            self._record(volume).unlink(missing_ok=True)
        except OSError as error:
            raise files.unwritable(self._record(volume), error) from error

    def _record(self, volume: str) -> Path:
        return self.folder / f".{volume}.json"


def _usual() -> Path:
    if os.geteuid() == 0:
        return HOST_WIDE
    if own := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(own) / "holdfast" / "volumes"
    raise AttachError(
        "a user without $XDG_RUNTIME_DIR has no usual place for it",
        place="--at",
        cure="name a folder of your own, or be root",
    )
