"""The journal as a file: locked for its lifetime, appended with fsync, refused when not sound."""

import contextlib
import fcntl
import os
import sys
from pathlib import Path

from holdfast.ledger import record
from holdfast.ledger.errors import (
    CorruptJournalError,
    JournalLockedError,
    StorageError,
    UnavailableError,
)

FILE_NAME = "ledger.journal"
MAX_JOURNAL_BYTES = 64 * 1024 * 1024


class FileLog:
    """An open file; at most one per path, on all machines that share it."""

    slow_seconds = 2.0
    cure = "free space on the file system, or mount it writable"

    def __init__(self, folder: Path) -> None:
        """Locks, checks and repairs the file in the existing `folder`, and makes it durable.

        Raises a LedgerError, having written nothing except that a torn last record is cut off.
        """
        self._path = folder / FILE_NAME
        self.place = str(self._path)
        self._last_failure: str | None = None
        self._broken = False
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _storage(error, self._path) from error
        try:
            _lock_file(self._fd, self._path)
            self.found = _read(self._fd, self._path)
            self._end = self.found.good_bytes
            self._settle(folder)
        except OSError as error:
            os.close(self._fd)
            raise _storage(error, self._path) from error
        except BaseException:
            os.close(self._fd)
            raise

    def check(self) -> None:
        """Raises UnavailableError if nothing will ever be written any more."""
        if not self._broken and not self._in_place():
            raise self._fail("the file was removed or replaced; restart the ledger", for_good=True)
        if self._broken:
            raise UnavailableError(self._last_failure)

    def write(self, line: bytes) -> None:
        """Durable on return. On failure nothing of the line remains, or nothing is ever written."""
        if self._end + len(line) > MAX_JOURNAL_BYTES:
            reason = f"the journal reached its limit of {MAX_JOURNAL_BYTES} bytes: archive it"
            raise self._fail(reason, for_good=False)
        try:
            _write_all(self._fd, line, self._end)
        except OSError as error:
            raise self._fail(f"cannot write: {error.strerror}", for_good=not self._cut()) from error
        self._sync()
        self._end += len(line)
        self._last_failure = None

    def trouble(self) -> str | None:
        """Why it cannot be relied on at this moment, or None. Never waits for a write."""
        if self._last_failure is not None:
            return self._last_failure
        return None if self._in_place() else f"{self._path}: the file was removed or replaced"

    def close(self) -> None:
        """Gives the lock up; later writes are refused."""
        self._fail("the journal is closed", for_good=True)
        os.close(self._fd)

    def _settle(self, folder: Path) -> None:
        """Makes what was found durable: a predecessor may have died between write and fsync."""
        os.ftruncate(self._fd, self._end)
        os.fsync(self._fd)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            # The kernel reports a lost page once and then takes it for clean, so a second fsync
            # proves nothing: no more writes until a new start has read the file again.
            self._cut()
            reason = f"cannot fsync: {error.strerror}; restart the ledger"
            raise self._fail(reason, for_good=True) from error

    def _cut(self) -> bool:
        """Removes what a failed write left behind. False: it may still be there."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._end)
            return True
        return False

    def _fail(self, reason: str, *, for_good: bool) -> UnavailableError:
        self._last_failure = f"{self._path}: {reason}"
        self._broken = self._broken or for_good
        return UnavailableError(self._last_failure)

    def _in_place(self) -> bool:
        """Whether the locked file is still the one that a second ledger would open and lock."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            return False


def _lock_file(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise JournalLockedError(
            "another ledger holds this journal",
            place=str(path),
            cure=f"stop the other one first; `fuser -v {path}` names it if it runs on this machine",
        ) from None


def _read(fd: int, path: Path) -> record.Scan:
    size = os.fstat(fd).st_size
    if size > MAX_JOURNAL_BYTES:
        raise StorageError(
            f"the journal takes {size} bytes, the limit is {MAX_JOURNAL_BYTES}",
            place=str(path),
            cure="move it to an archive and start with an empty folder",
        )
    with open(fd, "rb", closefd=False) as file:
        data = file.read()
    try:
        found = record.scan(data)
    except record.DamagedRecordError as error:
        raise CorruptJournalError(
            f"line {error.line} (byte {error.offset}) is corrupt: {error.reason}",
            place=str(path),
            cure=f"restore the file from a copy; or, to lose line {error.line} and all after it, "
            f"keep a copy and run: truncate -s {error.offset} {path}",
        ) from error
    if found.torn_bytes:
        sys.stderr.write(
            f"{path}: cutting off {found.torn_bytes} bytes of an unfinished record at byte "
            f"{found.good_bytes}; it was never acknowledged\n"
        )
    return found


def _write_all(fd: int, data: bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], offset + written)


def _storage(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"cannot open the journal: {error.strerror}",
        place=str(path),
        cure="the data folder must exist (is it mounted?), be writable by this user and have space",
    )
