"""What the hands remember across restarts: one file per group, and the lease's end."""

import logging
from pathlib import Path

import msgspec

from holdfast.config.model import Resource
from holdfast.errors import HoldfastError
from holdfast.recovery.files import replace_atomically, replace_durably
from holdfast.recovery.state import GroupState

_log = logging.getLogger("holdfast.recovery")


class JournalError(HoldfastError):
    """The journal cannot be read or written; without it nothing may be started (I9)."""


class StoredLease(msgspec.Struct, frozen=True, kw_only=True):
    """The lease as last renewed; only of use in the same boot, whose clock it is in."""

    boot: str = ""
    term: int = 0
    since: float = 0.0
    """When it was acquired; it has lasted without a gap."""
    valid_until: float = 0.0


class Journal:
    """The folder `<state>/recovery`."""

    def __init__(self, folder: Path) -> None:
        """Make the folders. Raises JournalError."""
        self._groups = folder / "groups"
        self._lease = folder / "lease.json"
        self.logs = folder / "log"
        try:
            self._groups.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise _failed(folder, "cannot be made", error) from error

    def load(self, group: str) -> GroupState | None:
        """The stored state; None if there is none, or none that can be read (it is set aside)."""
        path = self._groups / f"{group}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=GroupState)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, "cannot be read", error) from error
        except msgspec.DecodeError as error:
            aside = path.with_suffix(".corrupt")
            path.replace(aside)
            _log.critical(
                "%s: not a journal entry (%s); kept as %s. The group's resources will be looked "
                "for and stopped before it is called stopped",
                path,
                error,
                aside,
            )
            return None

    def store(self, state: GroupState) -> None:
        """Durable when it returns. Raises JournalError."""
        path = self._groups / f"{state.group}.json"
        try:
            replace_durably(path, msgspec.json.encode(state))
        except OSError as error:
            raise _failed(path, "cannot be written", error) from error

    def planned(self) -> list[str]:
        """The groups whose configuration is kept. Raises JournalError."""
        try:
            return sorted(path.stem for path in self._groups.glob("*.plan"))
        except OSError as error:
            raise _failed(self._groups, "cannot be read", error) from error

    def load_plan(self, group: str) -> dict[str, Resource]:
        """The configuration that was kept last, in starting order; empty if none can be read."""
        path = self._plan(group)
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, Resource])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _failed(path, "cannot be read", error) from error
        except msgspec.DecodeError as error:
            _log.critical(
                "%s: not a plan (%s): what it named is not stopped from here", path, error
            )
            return {}

    def store_plan(self, group: str, resources: dict[str, Resource]) -> None:
        """Durable when it returns. Raises JournalError."""
        path, content = self._plan(group), msgspec.json.encode(resources)
        try:
            if not path.exists() or path.read_bytes() != content:
                replace_durably(path, content)
        except OSError as error:
            raise _failed(path, "cannot be written", error) from error

    def forget_plan(self, group: str) -> None:
        """All of it was seen to be stopped, and the file does not have it run here."""
        self._plan(group).unlink(missing_ok=True)

    def _plan(self, group: str) -> Path:
        return self._groups / f"{group}.plan"

    def load_lease(self) -> StoredLease:
        """The stored lease; an empty one if there is none that can be read."""
        try:
            return msgspec.json.decode(self._lease.read_bytes(), type=StoredLease)
        except (OSError, msgspec.DecodeError):
            return StoredLease()

    def store_lease(self, lease: StoredLease) -> None:
        """Survives our death; a new boot has no use for it, so it is not synced."""
        try:
            replace_atomically(self._lease, msgspec.json.encode(lease))
        except OSError as error:
            raise _failed(self._lease, "cannot be written", error) from error


def _failed(path: Path, what: str, error: OSError) -> JournalError:
    return JournalError(
        f"{what}: {error.strerror or error}",
        place=str(path),
        cure="free space on its disk, and let the service's user own the state folder",
    )
