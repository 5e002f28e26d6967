"""Why a ledger refuses to start or to write: each error names the place and the cure."""

EXIT_USAGE = 2
EXIT_LOCKED = 3
EXIT_STALE_EPOCH = 4
EXIT_CORRUPT = 5
EXIT_STORAGE = 6
EXIT_LISTEN = 7


class LedgerError(Exception):
    """The ledger cannot start. `exit_code` tells a supervisor which kind of refusal this is."""

    exit_code = 1

    def __init__(self, problem: str, *, place: str, cure: str) -> None:
        super().__init__(f"{place}: {problem}\n  cure: {cure}")
        self.problem = problem
        self.place = place
        self.cure = cure


class JournalLockedError(LedgerError):
    """Another process holds the journal: two ledgers must never run at once."""

    exit_code = EXIT_LOCKED


class StaleEpochError(LedgerError):
    """The journal was already written at a higher epoch: this start order is out of date."""

    exit_code = EXIT_STALE_EPOCH


class CorruptJournalError(LedgerError):
    """A record that was once complete can no longer be read."""

    exit_code = EXIT_CORRUPT


class StorageError(LedgerError):
    """The folder, the journal file or the block device cannot be opened, read or written."""

    exit_code = EXIT_STORAGE


class ListenError(LedgerError):
    """The service address cannot be bound."""

    exit_code = EXIT_LISTEN


class UnavailableError(Exception):
    """This entry was not written, and must not be acknowledged. The message is the reason."""


class UnfinishedError(UnavailableError):
    """This entry may be in the journal or not: it has to be written again before any other."""
