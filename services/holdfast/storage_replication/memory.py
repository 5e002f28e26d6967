"""This node's own memory of epochs: it holds even when the volume cannot be reached."""

from pathlib import Path

import msgspec

from holdfast.errors import HoldfastError
from holdfast.storage_replication.epochs import Mark
from holdfast.storage_replication.files import replace_durably


class MemoryFailed(HoldfastError):
    """The memory cannot be read or written; without it no volume is activated."""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """One volume: the highest epoch accepted here, and whether it is active."""

    mark: Mark = Mark()
    active: bool = False
    since: float = 0.0
    """Of a replicated volume: `NodeLease.since` of the lease under which it is known to be ours."""


class Memory:
    """One file, `<state>/storage_replication/volumes.json`."""

    def __init__(self, folder: Path) -> None:
        """Load it. Raises MemoryFailed; a damaged file is an error, not an empty memory."""
        self._path = folder / "volumes.json"
        self.volumes: dict[str, Remembered] = {}
        try:
            raw = self._path.read_bytes()
            self.volumes = msgspec.json.decode(raw, type=dict[str, Remembered])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            raise MemoryFailed(
                f"cannot be read: {error}",
                place=str(self._path),
                cure="restore it; or, when no group runs on this node, remove it: each volume "
                "carries its epoch itself",
            ) from error

    def of(self, volume: str) -> Remembered:
        """What is known of a volume."""
        return self.volumes.get(volume, Remembered())

    def store(self, volume: str, remembered: Remembered) -> None:
        """Durable when it returns. Raises MemoryFailed; then nothing has changed."""
        volumes = {**self.volumes, volume: remembered}
        try:
            replace_durably(self._path, msgspec.json.encode(volumes))
        except OSError as error:
            raise MemoryFailed(
                f"cannot be written: {error.strerror or error}",
                place=str(self._path),
                cure="free space on its disk, and let the service's user own the state folder",
            ) from error
        self.volumes = volumes
