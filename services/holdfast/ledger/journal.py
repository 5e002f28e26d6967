"""The journal file: locked for its lifetime, appended with fsync, refused when it is not sound."""

import contextlib
import fcntl
import os
import sys
import threading
import time
from pathlib import Path

from holdfast.ledger import record
from holdfast.ledger.errors import (
    CorruptJournalError,
    JournalLockedError,
    StaleEpochError,
    StorageError,
    UnavailableError,
)
from holdfast.ledger.record import Entry, EpochStart

FILE_NAME = "ledger.journal"
MAX_JOURNAL_BYTES = 64 * 1024 * 1024
SLOW_WRITE_SECONDS = 2.0


class Journal:
    """An open journal. Safe for many threads; at most one per file, on all machines that share it.

    Entries are kept in memory; MAX_JOURNAL_BYTES bounds them.
    """

    def __init__(self, fd: int, path: Path, found: record.Scan) -> None:
        """Takes over `fd`, which is locked. Use `Journal.open`."""
        self._fd = fd
        self._path = path
        self._entries = found.entries
        self._by_id = {entry.id: entry for entry in found.entries}
        self._end = found.good_bytes
        self._lock = threading.Lock()
        self._writing_since: float | None = None
        self._last_failure: str | None = None
        self._broken = False
        self.epoch = found.epoch

    @classmethod
    def open(cls, folder: Path, epoch: int | None = None) -> "Journal":
        """Locks, checks and repairs the journal in the existing `folder`, and makes it durable.

        `epoch` None goes on at the journal's own. Raises a LedgerError, having written nothing
        except that a torn last record is cut off.
        """
        path = folder / FILE_NAME
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _storage(error, path) from error
        try:
            _lock_file(fd, path)
            journal = cls(fd, path, _read(fd, path))
            journal._settle(folder)
            journal._begin_epoch(epoch)
        except OSError as error:
            os.close(fd)
            raise _storage(error, path) from error
        except BaseException:
            os.close(fd)
            raise
        return journal

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` durable entries with an index above `after`, in order."""
        return self._entries[after : after + limit]

    def append(self, entry_id: str, note: str) -> tuple[Entry, bool]:
        """Returns the entry once it is durable; False: the id was there, nothing was written.

        Raises UnavailableError if it is not known to be durable.
        """
        if not self._lock.acquire(timeout=SLOW_WRITE_SECONDS):
            raise UnavailableError(f"{self._path}: earlier writes do not end")
        try:
            self._require_usable()
            known = self._by_id.get(entry_id)
            if known is not None:
                return known, False
            entry = Entry(len(self._entries) + 1, self.epoch, entry_id, note)
            self._write(record.encode(entry))
            self._by_id[entry_id] = entry
            self._entries.append(entry)
            return entry, True
        finally:
            self._lock.release()

    def trouble(self) -> str | None:
        """Why the journal cannot be relied on at this moment, or None. Never waits for a write."""
        since = self._writing_since
        if since is not None and (waited := time.monotonic() - since) > SLOW_WRITE_SECONDS:
            return f"{self._path}: a write has not ended for {waited:.1f} s"
        if self._last_failure is not None:
            return self._last_failure
        return None if self._in_place() else f"{self._path}: the file was removed or replaced"

    def close(self) -> None:
        """Gives the lock up; later appends raise UnavailableError.

        A write that hangs keeps the journal, until the process ends.
        """
        if self._lock.acquire(timeout=SLOW_WRITE_SECONDS):
            self._fail("the journal is closed", for_good=True)
            os.close(self._fd)
            self._lock.release()

    def _settle(self, folder: Path) -> None:
        """Makes what was found durable: a predecessor may have died between write and fsync."""
        os.ftruncate(self._fd, self._end)
        os.fsync(self._fd)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _begin_epoch(self, epoch: int | None) -> None:
        if epoch is None or epoch == self.epoch:
            return
        if epoch < self.epoch:
            raise StaleEpochError(
                f"the journal is at epoch {self.epoch}, this start is for epoch {epoch}",
                place=str(self._path),
                cure="do not start here; whoever ordered this start was overtaken by a later owner",
            )
        # Recorded before the first entry, or an overtaken owner could still start meanwhile.
        try:
            self._write(record.encode(EpochStart(len(self._entries), epoch)))
        except UnavailableError as error:
            raise StorageError(
                f"cannot record epoch {epoch}: {error}",
                place=str(self._path),
                cure="free space on the file system, or mount it writable",
            ) from error
        self.epoch = epoch

    def _write(self, line: bytes) -> None:
        """Durable on return. On failure nothing of the line remains, or nothing is ever written."""
        if self._end + len(line) > MAX_JOURNAL_BYTES:
            reason = f"the journal reached its limit of {MAX_JOURNAL_BYTES} bytes: archive it"
            raise self._fail(reason, for_good=False)
        self._writing_since = time.monotonic()
        try:
            _write_all(self._fd, line, self._end)
        except OSError as error:
            raise self._fail(f"cannot write: {error.strerror}", for_good=not self._cut()) from error
        else:
            self._sync()
        finally:
            self._writing_since = None
        self._end += len(line)
        self._last_failure = None

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

    def _require_usable(self) -> None:
        if not self._broken and not self._in_place():
            raise self._fail("the file was removed or replaced; restart the ledger", for_good=True)
        if self._broken:
            raise UnavailableError(self._last_failure)

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
