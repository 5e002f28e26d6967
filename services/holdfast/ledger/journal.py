"""The journal: entries in memory and in a log, which may be a file or a block device."""

import threading
import time
from pathlib import Path
from typing import Protocol

from holdfast.ledger import record
from holdfast.ledger.address import DeviceAddress
from holdfast.ledger.device_log import DeviceLog
from holdfast.ledger.errors import StaleEpochError, StorageError, UnavailableError, UnfinishedError
from holdfast.ledger.file_log import FileLog
from holdfast.ledger.record import Entry, EpochStart, Record

LOCK_SECONDS = 2.0


class Found(Protocol):
    """What a log held when it was opened, in order."""

    @property
    def entries(self) -> list[Entry]:
        """All of them."""
        ...

    @property
    def epoch(self) -> int:
        """Of the last record; 0 without any."""
        ...


class Log(Protocol):
    """Where records are kept, opened and locked. `slow_seconds`: a write that takes longer hangs.

    `cure` is what helps when it cannot be written.
    """

    place: str
    slow_seconds: float
    cure: str

    def check(self) -> None:
        """Raises UnavailableError if nothing will ever be written any more."""

    def write(self, line: bytes) -> None:
        """Durable on return. Raises UnavailableError; after UnfinishedError the same comes next."""

    def trouble(self) -> str | None:
        """Why it cannot be relied on at this moment, or None. Never waits for a write."""

    def close(self) -> None:
        """Gives the lock up; later writes are refused."""


class Journal:
    """An open journal. Safe for many threads. Entries are kept in memory; its log bounds them."""

    def __init__(self, log: Log, found: Found, epoch: int | None) -> None:
        """Takes over `log`. `epoch` None goes on at the journal's own. Raises a LedgerError."""
        self._log = log
        self._entries = list(found.entries)
        self._by_id = {entry.id: entry for entry in self._entries}
        self._lock = threading.Lock()
        self._writing_since: float | None = None
        self._unfinished: Entry | None = None
        self.epoch = found.epoch
        try:
            self._begin_epoch(epoch)
        except BaseException:
            log.close()
            raise

    @classmethod
    def open(cls, folder: Path, epoch: int | None = None) -> "Journal":
        """The journal in the existing `folder`. Raises a LedgerError."""
        log = FileLog(folder)
        return cls(log, log.found, epoch)

    @classmethod
    def open_device(cls, address: DeviceAddress, epoch: int | None = None) -> "Journal":
        """The journal on a block device; one of zeros becomes one. Raises a LedgerError."""
        log = DeviceLog(address)
        return cls(log, log.found, epoch)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` durable entries with an index above `after`, in order."""
        return self._entries[after : after + limit]

    def append(self, entry_id: str, note: str) -> tuple[Entry, bool]:
        """Returns the entry once it is durable; False: the id was there, nothing was written.

        Raises UnavailableError if it is not known to be durable.
        """
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            raise UnavailableError(f"{self._log.place}: earlier writes do not end")
        try:
            self._log.check()
            if entry_id not in self._by_id and self._unfinished is not None:
                self._add(self._unfinished)
            known = self._by_id.get(entry_id)
            if known is not None:
                return known, False
            entry = Entry(len(self._entries) + 1, self.epoch, entry_id, note)
            self._add(entry)
            return entry, True
        finally:
            self._lock.release()

    def trouble(self) -> str | None:
        """Why the journal cannot be relied on at this moment, or None. Never waits for a write."""
        since = self._writing_since
        if since is not None and (waited := time.monotonic() - since) > self._log.slow_seconds:
            return f"{self._log.place}: a write has not ended for {waited:.1f} s"
        return self._log.trouble()

    def close(self) -> None:
        """Gives the lock up; later appends raise UnavailableError.

        A write that hangs keeps the journal, until the process ends.
        """
        if self._lock.acquire(timeout=LOCK_SECONDS):
            self._log.close()
            self._lock.release()

    def _begin_epoch(self, epoch: int | None) -> None:
        if epoch is None or epoch == self.epoch:
            return
        if epoch < self.epoch:
            raise StaleEpochError(
                f"the journal is at epoch {self.epoch}, this start is for epoch {epoch}",
                place=self._log.place,
                cure="do not start here; whoever ordered this start was overtaken by a later owner",
            )
        # Recorded before the first entry, or an overtaken owner could still start meanwhile.
        try:
            self._write(EpochStart(len(self._entries), epoch))
        except UnavailableError as error:
            raise StorageError(
                f"cannot record epoch {epoch}: {error}", place=self._log.place, cure=self._log.cure
            ) from error
        self.epoch = epoch

    def _add(self, entry: Entry) -> None:
        try:
            self._write(entry)
        except UnfinishedError:
            self._unfinished = entry
            raise
        self._unfinished = None
        self._by_id[entry.id] = entry
        self._entries.append(entry)

    def _write(self, one: Record) -> None:
        self._writing_since = time.monotonic()
        try:
            self._log.write(record.encode(one))
        finally:
            self._writing_since = None
