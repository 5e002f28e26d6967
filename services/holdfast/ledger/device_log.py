"""The journal on a block device: the layout of `blocks.py`, written through an NBD server."""

import socket
import sys

from holdfast.ledger import blocks
from holdfast.ledger.address import DeviceAddress
from holdfast.ledger.device import CALL_SECONDS, Device, DeviceError
from holdfast.ledger.errors import (
    CorruptJournalError,
    JournalLockedError,
    StorageError,
    UnavailableError,
    UnfinishedError,
)
from holdfast.ledger.record import DamagedRecordError


class DeviceLog:
    """An open device; at most one process of a machine has it.

    Other machines are kept away by the volume, which serves one node; and nothing is written
    behind a record that this process does not know.
    """

    slow_seconds = 15.0
    """A volume may have to agree with others before it goes on without a replica."""
    cure = "see what its NBD server says, and that it is the volume meant"

    def __init__(self, address: DeviceAddress, *, seconds: float = CALL_SECONDS) -> None:
        """Claims, checks and repairs it, and makes it durable. `seconds` for each request.

        Raises a LedgerError. Writes nothing except the first block of a device that is all zeros,
        and zeros over a torn last record.
        """
        self.place = str(address)
        self._last_failure: str | None = None
        self._broken = False
        self._unfinished: bytes | None = None
        self._claim = _claim(address)
        try:
            self._device = Device(address, seconds=seconds)
            self._limit = (
                min(self._device.size, blocks.MAX_USED_BYTES) // blocks.BLOCK * blocks.BLOCK
            )
            self.found = self._scan()
            self._end = self.found.end
            self._settle()
        except DeviceError as error:
            self._claim.close()
            raise StorageError(str(error), place=self.place, cure=self.cure) from error
        except BaseException:
            self._claim.close()
            raise

    def check(self) -> None:
        """Raises UnavailableError if nothing will ever be written any more."""
        if self._broken:
            raise UnavailableError(self._last_failure)

    def write(self, line: bytes) -> None:
        """Durable on return. Raises UnavailableError; after UnfinishedError the same comes next.

        What was sent and not answered may still happen, so nothing else may take its place.
        """
        assert self._unfinished in (None, line), "an unfinished write is not finished"
        data = blocks.padded(line)
        if self._end + len(data) > self._limit:
            raise self._fail(f"the device is full: {self._limit} bytes; attach a larger one")
        try:
            self._require_own_end(line)
            self._unfinished = line
            self._device.write(self._end, data)
        except DeviceError as error:
            failure = self._fail(f"cannot write: {error}")
            raise (UnfinishedError(str(failure)) if self._unfinished else failure) from error
        self._unfinished = None
        self._end += len(data)
        self._last_failure = None

    def trouble(self) -> str | None:
        """Why it cannot be relied on at this moment, or None. Never waits for a write."""
        return self._last_failure

    def close(self) -> None:
        """Gives the claim up; later writes are refused."""
        self._fail("the journal is closed")
        self._broken = True
        self._device.close()
        self._claim.close()

    def _require_own_end(self, line: bytes) -> None:
        """A later owner begins with a record of its epoch, right where this one would go on."""
        found = blocks.line_at(self._device.read(self._end, blocks.BLOCK))
        if found is not None and found != line:
            self._broken = True
            raise self._fail("another ledger has written here; restart this one")

    def _scan(self) -> blocks.Found:
        try:
            return blocks.scan(self._device.read, self._limit)
        except blocks.ForeignError as error:
            raise StorageError(
                f"this is not a ledger's device: {error}",
                place=self.place,
                cure="give the right one, or an empty one (all zeros)",
            ) from error
        except DamagedRecordError as error:
            raise CorruptJournalError(
                f"record {error.line} (byte {error.offset}) is corrupt: {error.reason}",
                place=self.place,
                cure=f"restore the volume from a copy; or, to lose record {error.line} and all "
                f"after it, keep a copy and zero the device from byte {error.offset} on",
            ) from error

    def _settle(self) -> None:
        """A predecessor may have died between write and flush, or in the middle of a write."""
        if self.found.is_new:
            if self._limit < 2 * blocks.BLOCK:
                raise DeviceError(f"{self._limit} bytes are too few for a journal")
            self._device.write(0, blocks.MAGIC)
        elif torn := self.found.torn_bytes:
            sys.stderr.write(
                f"{self.place}: zeroing {torn} bytes of an unfinished record at byte {self._end}; "
                "it was never acknowledged\n"
            )
            self._device.write(self._end, blocks.padded(bytes(torn)))
        self._device.flush()

    def _fail(self, reason: str) -> UnavailableError:
        self._last_failure = f"{self.place}: {reason}"
        return UnavailableError(self._last_failure)


def _claim(address: DeviceAddress) -> socket.socket:
    try:
        return address.claim()
    except OSError as error:
        raise JournalLockedError(
            f"another ledger on this machine holds this device ({error.strerror})",
            place=str(address),
            cure="stop the other one first; `pgrep -af holdfast.ledger` names it",
        ) from error
