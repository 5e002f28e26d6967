"""The journal's format, without any I/O: records to bytes, and bytes to records.

One record per line: `<length> <crc> <payload>\\n`, length and CRC-32 as eight hex digits each, the
payload ASCII JSON, in which no raw newline can occur. The length tells a record that was cut off
(a crash: it was never acknowledged) from one that was damaged later (it may have been).
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PAYLOAD_BYTES = 32 * 1024
HEADER_BYTES = 18
MAX_LINE_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `index` counts from 1, `epoch` is that of the ledger that wrote it."""

    index: int
    epoch: int
    id: str
    note: str


@dataclass(frozen=True, slots=True)
class EpochStart:
    """A ledger of this epoch took the journal over, after the entry numbered `index`."""

    index: int
    epoch: int


Record = Entry | EpochStart


@dataclass(frozen=True, slots=True)
class Scan:
    """What a journal holds: its records, and how many of its bytes they take.

    The `torn_bytes` after `good_bytes` are a record whose write never ended.
    """

    entries: list[Entry]
    epoch: int
    good_bytes: int
    torn_bytes: int


class DamagedRecordError(ValueError):
    """The record on `line` (from 1), which begins at byte `offset`, is damaged."""

    def __init__(self, reason: str, *, line: int, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.offset = offset


def encode(record: Record) -> bytes:
    """One line. Raises ValueError if the payload would be longer than MAX_PAYLOAD_BYTES."""
    fields: dict[str, object] = {"index": record.index, "epoch": record.epoch}
    if isinstance(record, Entry):
        fields |= {"id": record.id, "note": record.note}
    payload = json.dumps(fields, separators=(",", ":")).encode("ascii")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"the record takes {len(payload)} bytes, the limit is {MAX_PAYLOAD_BYTES}")
    return _header(payload) + payload + b"\n"


class Reader:
    """The records of a journal, as they are read one after another."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.epoch = 0
        self.records = 0
        self._ids: set[str] = set()

    def take(self, line: bytes) -> None:
        """The next line, without its newline. Raises ValueError if it is damaged or not due."""
        record = decode(line)
        _check_order(record, len(self.entries), self.epoch, self._ids)
        self.epoch = record.epoch
        self.records += 1
        if isinstance(record, Entry):
            self._ids.add(record.id)
            self.entries.append(record)


def scan(data: bytes) -> Scan:
    """Reads a whole journal. Raises DamagedRecordError; a torn last record is no damage."""
    reader = Reader()
    good = 0
    for offset, text in _lines(data):
        try:
            reader.take(text)
        except ValueError as error:
            raise DamagedRecordError(str(error), line=reader.records + 1, offset=offset) from None
        good = offset + len(text) + 1
    tail = data[good:]
    if tail and not _is_torn(tail):
        reason = "the end of the line is damaged"
        raise DamagedRecordError(reason, line=reader.records + 1, offset=good)
    return Scan(reader.entries, reader.epoch, good, len(tail))


def _header(payload: bytes) -> bytes:
    return b"%08x %08x " % (len(payload), zlib.crc32(payload))


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each ended line with its offset."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield start, data[start:end]
        start = end + 1


def decode(line: bytes) -> Record:
    """A line without its newline. Raises ValueError if it is damaged."""
    payload = line[HEADER_BYTES:]
    # Compared as bytes: a header that merely parses to the right numbers is damaged too.
    if line[:HEADER_BYTES] != _header(payload):
        raise ValueError("length or checksum do not match")
    fields = json.loads(payload)
    if not isinstance(fields, dict):
        raise ValueError("the record is not an object")
    match fields:
        case {"index": int(index), "epoch": int(epoch), "id": str(entry), "note": str(note)}:
            return Entry(index, epoch, entry, note)
        case {"index": int(index), "epoch": int(epoch)} if len(fields) == 2:
            return EpochStart(index, epoch)
    raise ValueError("the record has the wrong fields")


def _check_order(record: Record, count: int, epoch: int, seen: set[str]) -> None:
    expected = count + 1 if isinstance(record, Entry) else count
    if record.index != expected:
        raise ValueError(f"index {record.index} where {expected} is due")
    if record.epoch < epoch:
        raise ValueError(f"epoch {record.epoch} after epoch {epoch}")
    if isinstance(record, Entry) and record.id in seen:
        raise ValueError(f"the id {record.id!r} occurs twice")


def _is_torn(tail: bytes) -> bool:
    """Whether a tail without a newline is a write that never ended, hence never acknowledged.

    File systems may show zeros for the part of a write that a power loss cut off.
    """
    written = tail.rstrip(b"\0")
    if len(written) < HEADER_BYTES:
        return True
    try:
        length = int(written[:8], 16)
    except ValueError:
        return False
    whole = HEADER_BYTES + length + 1
    return length <= MAX_PAYLOAD_BYTES and (len(tail) < whole or len(written) < whole - 1)
