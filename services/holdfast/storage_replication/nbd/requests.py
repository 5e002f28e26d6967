"""Which requests a session takes, and with which error it answers the others; pure."""

import errno

from holdfast.nbd_protocol import (
    FLAG_DF,
    FLAG_FUA,
    FLAG_NO_HOLE,
    FLAG_REQ_ONE,
    MAX_PAYLOAD,
    Command,
)
from holdfast.storage_replication.nbd.options import Export

MAX_UNFRAGMENTED = 1024 * 1024
"""Bytes that a READ with DF may ask for; the protocol wants 64 KiB at least."""
Refusal = tuple[int, str]
"""An errno that the protocol allows, and why, for people."""

_FLAGS = {
    Command.READ: FLAG_FUA | FLAG_DF,
    Command.WRITE: FLAG_FUA,
    Command.FLUSH: FLAG_FUA,
    Command.TRIM: FLAG_FUA,
    Command.WRITE_ZEROES: FLAG_FUA | FLAG_NO_HOLE,
    Command.BLOCK_STATUS: FLAG_FUA | FLAG_REQ_ONE,
}
_WRITES = frozenset({Command.WRITE, Command.TRIM, Command.WRITE_ZEROES})


class Rules:
    """What was agreed on with one client."""

    def __init__(self, export: Export, *, structured: bool, allocation: bool) -> None:
        self._export = export
        self._structured = structured
        self._allocation = allocation
        writable = -1 if export.read_only else MAX_PAYLOAD
        self._usual = {int(Command.READ): MAX_PAYLOAD, int(Command.WRITE): writable}
        """How long a request may be that needs no other look, if it has no flags."""

    def refusal(self, command: int, flags: int, offset: int, length: int) -> Refusal | None:
        """Why this request is not done; None: it is."""
        usual = self._usual.get(command, -1)
        if not flags and length <= usual and offset + length <= self._export.size:
            return None
        allowed = _FLAGS.get(command)  # type: ignore[call-overload]
        if allowed is None:
            return errno.EINVAL, f"unknown command {command}"
        if flags & ~allowed or (flags & FLAG_DF and not self._structured):
            return errno.EINVAL, f"flags {flags:#x} do not go with command {command}"
        if command == Command.FLUSH:
            return (errno.EINVAL, "a flush has no range") if offset or length else None
        if command in _WRITES and self._export.read_only:
            return errno.EPERM, "the export is read-only"
        if offset + length > self._export.size:
            number = (
                errno.ENOSPC if command in (Command.WRITE, Command.WRITE_ZEROES) else errno.EINVAL
            )
            end = self._export.size
            return number, f"{length} bytes from {offset} go beyond the end, {end}"
        return self._particular(command, flags, length)

    def _particular(self, command: int, flags: int, length: int) -> Refusal | None:
        if command == Command.BLOCK_STATUS:
            if not self._allocation:
                return errno.EINVAL, "base:allocation was not negotiated"
            return None if length else (errno.EINVAL, "the range is empty")
        if command == Command.WRITE and length > MAX_PAYLOAD:
            return errno.EINVAL, f"{length} bytes are more than {MAX_PAYLOAD}"
        if command == Command.READ and length > MAX_PAYLOAD:
            return errno.EINVAL, f"{length} bytes are more than {MAX_PAYLOAD}"
        if flags & FLAG_DF and length > MAX_UNFRAGMENTED:
            # This error is for DF only: it tells the client to ask again without.
            return errno.EOVERFLOW, f"{length} bytes are more than {MAX_UNFRAGMENTED}"
        return None
