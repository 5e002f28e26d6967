"""How far a spool is acknowledged: the chain's head at that event, kept in two slots.

Writing the slots in turn means that one of them is whole whatever happens during a write. The head
stands here beside the records so that damaged records never make a producer fork its chain.
"""

import os
import zlib
from pathlib import Path

import msgspec

from holdfast.events import ChainHead

SLOT_BYTES = 512


class _Slot(msgspec.Struct, frozen=True):
    sequence: int
    hash: str


class Cursor:
    """The acknowledged head, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        """Open or create it. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._writes = 0
        self.head = ChainHead()
        self.known = False
        """Whether `head` was read or is the start; not known: both slots are damaged."""
        if os.fstat(self._file).st_size == 0:
            self.advance(self.head)
        for index in (0, 1):
            found = _decode(os.pread(self._file, SLOT_BYTES, index * SLOT_BYTES))
            if found is not None and found.sequence >= self.head.sequence:
                self.head, self.known = found, True
                self._writes = index + 1

    def advance(self, head: ChainHead) -> None:
        """Store a later head; it survives a crash of the process at once. Raises OSError."""
        os.pwrite(self._file, _encode(head), self._writes % 2 * SLOT_BYTES)
        self._writes += 1
        self.head = head

    def sync(self) -> None:
        """Make it survive a power cut. Without, events are published again and deduplicated."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _encode(head: ChainHead) -> bytes:
    payload = msgspec.json.encode(_Slot(head.sequence, head.hash))
    return (b"%08x %s" % (zlib.crc32(payload), payload)).ljust(SLOT_BYTES, b"\n")


def _decode(slot: bytes) -> ChainHead | None:
    checksum, _, payload = slot.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(payload):
        return None
    try:
        found = msgspec.json.decode(payload, type=_Slot)
    except msgspec.DecodeError:
        return None
    return ChainHead(found.sequence, found.hash)
