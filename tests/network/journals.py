"""What hosts with a journal each recorded, read from their files: no promise is missing."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from holdfast.ledger.file_log import FILE_NAME
from holdfast.ledger.record import Entry, scan


def lost(promises: Mapping[str, int], folders: Iterable[Path]) -> list[str]:
    """Acknowledged entries, index by id, that no host recorded at that index."""
    found = {(entry.id, entry.index) for folder in folders for entry in _entries(folder)}
    return [entry for entry, index in promises.items() if (entry, index) not in found]


def _entries(folder: Path) -> Iterable[Entry]:
    file = folder / FILE_NAME
    return scan(file.read_bytes()).entries if file.exists() else []
