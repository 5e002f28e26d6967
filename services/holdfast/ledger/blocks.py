"""The journal's layout on a block device, without any I/O of its own.

The first block says what this is. Then record after record, each the line of `record.py`, filled
up with zeros to whole blocks: a block that holds something acknowledged is never written again.
All behind the last record is zero. A write that never ended leaves out whole sectors, which are
then still zero; a bad record of which no sector is missing was once complete, and is damaged.
"""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.ledger import record
from holdfast.ledger.record import Entry

BLOCK = 4096
SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
MAX_USED_BYTES = 256 * 1024 * 1024
"""Of a larger device no more is used: entries are kept in memory."""
MAGIC = b"holdfast ledger journal 1\n".ljust(BLOCK, b"\0")
WINDOW = 1024 * 1024
"""Bytes that are read at once, and looked through behind the end for what must not be there."""
MAX_RECORD = -(-record.MAX_LINE_BYTES // BLOCK) * BLOCK

Read = Callable[[int, int], bytes]
"""Bytes at an offset, as many as asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a device holds. `end` is where the next record goes.

    `is_new`: only zeros. `torn_bytes` after `end` are a record whose write never ended.
    """

    entries: list[Entry]
    epoch: int
    end: int
    torn_bytes: int = 0
    is_new: bool = False


class ForeignError(ValueError):
    """The device holds something else than a ledger."""


def padded(line: bytes) -> bytes:
    """A record as it is written: whole blocks."""
    return line.ljust(-(-len(line) // BLOCK) * BLOCK, b"\0")


def scan(read: Read, size: int) -> Found:
    """Find all records in the first `size` bytes. Raises DamagedRecordError, ForeignError."""
    device = _Windows(read, size)
    first = device.at(0, BLOCK)
    if not _something(first):
        if _something(device.at(0, WINDOW)):
            raise ForeignError("its first block is empty, but what follows is not")
        return Found([], 0, BLOCK, is_new=True)
    if first != MAGIC:
        raise ForeignError("its first block is not that of a ledger")
    reader = record.Reader()
    end = BLOCK
    while line := line_at(device.at(end, MAX_RECORD)):
        try:
            reader.take(line[:-1])
        except ValueError as error:
            raise _damaged(reader, end, str(error)) from None
        end += len(padded(line))
    torn = _torn_bytes(device, reader, end)
    return Found(reader.entries, reader.epoch, end, torn)


def line_at(data: bytes) -> bytes | None:
    """The whole and sound record that `data` begins with."""
    length = _claimed(data)
    if length is None or len(padded(data[:length])) > len(data):
        return None
    line, rest = data[:length], data[length : len(padded(data[:length]))]
    try:
        record.decode(line[:-1])
    except ValueError:
        return None
    return line if line.endswith(b"\n") and not _something(rest) else None


def _torn_bytes(device: "_Windows", reader: record.Reader, end: int) -> int:
    """How far what follows the last record is a write that never ended."""
    last = device.at(end, MAX_RECORD)
    if _something(last) and not _is_torn(last):
        raise _damaged(reader, end, "it was written completely, but is not sound")
    behind = device.at(end, WINDOW)
    for offset in range(BLOCK, len(behind), BLOCK):
        if line_at(behind[offset : offset + MAX_RECORD]):
            raise _damaged(reader, end, f"sound records follow at byte {end + offset}")
    if _something(behind[MAX_RECORD:]):
        raise _damaged(reader, end, "what follows it was not written by a ledger")
    return len(last.rstrip(b"\0"))


def _is_torn(data: bytes) -> bool:
    """Whether a sector of this record was never written. A newline occurs only at its end."""
    length = data.find(b"\n") + 1 or _claimed(data) or len(data.rstrip(b"\0"))
    sectors = range(0, min(length, len(data)), SECTOR)
    return any(not _something(data[at : at + SECTOR]) for at in sectors)


def _claimed(data: bytes) -> int | None:
    """The length of the line, by its header."""
    try:
        payload = int(data[:8], 16)
    except ValueError:
        return None
    in_range = 0 <= payload <= record.MAX_PAYLOAD_BYTES
    return record.HEADER_BYTES + payload + 1 if in_range else None


def _something(data: bytes) -> bool:
    return data.count(0) != len(data)


def _damaged(reader: record.Reader, end: int, reason: str) -> record.DamagedRecordError:
    return record.DamagedRecordError(reason, line=reader.records + 1, offset=end)


class _Windows:
    """Reads large pieces, since records are small."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._start = 0
        self._data = b""

    def at(self, offset: int, length: int) -> bytes:
        """`length` bytes, or fewer where the device ends."""
        length = min(length, self._size - offset)
        at = offset - self._start
        if at < 0 or at + length > len(self._data):
            self._start, at = offset, 0
            self._data = self._read(offset, min(max(length, WINDOW), self._size - offset))
        return self._data[at : at + length]
