"""The input journal's files: one segment each, from a snapshot of the state to where it ends.

A file is MAGIC and then frames: a letter, length and CRC-32 of what follows, and one flushed piece
of the file's zlib stream. `H` holds the Head, `E` a batch of entries, `Z` how the segment ended. A
crash tears the last frame; everything before it stays readable.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import HoldfastError

MAGIC = b"HOLDFAST INPUTS 1\n"
SUFFIX = ".inputs"
MAX_FRAME = 64 * 1024 * 1024
_frame = struct.Struct(">cII")


class JournalUnreadable(HoldfastError):
    """Not an input journal, or one whose beginning is damaged."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """How a segment begins."""

    number: int
    cluster: str
    place: str
    boot: str
    version: str
    """Of Holdfast, which wrote it."""
    config_hash: str
    """SHA-256 of the cluster file as the decider understood it."""
    wall: str
    """RFC 3339, for display."""
    continues: bool
    """Whether the step before its first one is the last one of the segment before."""
    state: bytes
    """Before the first step; see codec.encode_state."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One step of the core: what it was given, and the canonical bytes of what it answered."""

    now: float
    kind: str
    happened: msgspec.Raw
    ids: list[str]
    effects: bytes


class End(msgspec.Struct, frozen=True, kw_only=True):
    """Why a segment ends here."""

    reason: str


_entries = msgspec.msgpack.Decoder(list[Entry])
_head = msgspec.msgpack.Decoder(Head)
_end = msgspec.msgpack.Decoder(End)


class SegmentWriter:
    """Writes one new file. Raises OSError, after which it must only be abandoned."""

    def __init__(self, path: Path, head: Head) -> None:
        self.size = 0
        self._packer = zlib.compressobj()
        self._file = path.open("xb")
        path.chmod(0o640)
        self._file.write(MAGIC)
        self._put(b"H", head)

    def append(self, entries: list[Entry]) -> None:
        """Add a batch; it is with the operating system when this returns."""
        self._put(b"E", entries)

    def end(self, reason: str) -> None:
        """Say why it ends here, and close."""
        self._put(b"Z", End(reason=reason))
        self._file.close()

    def abandon(self) -> None:
        """Close without a word, whatever the disk says to that."""
        try:
            self._file.close()
        except OSError:
            return  # what was buffered is lost, as is said elsewhere

    def _put(self, kind: bytes, what: Any) -> None:
        packed = self._packer.compress(msgspec.msgpack.encode(what))
        packed += self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._file.write(_frame.pack(kind, len(packed), zlib.crc32(kind + packed)) + packed)
        self._file.flush()
        self.size = self._file.tell()


class Segment:
    """Reads one file: `head` at once, `entries` once, and then `ended`."""

    def __init__(self, path: Path) -> None:
        """Raises JournalUnreadable."""
        self.path = path
        self.ended = ""
        """How it ends, in words, when its entries have been read."""
        self.whole = self.damaged = False
        """Whether its end was found, or something before that does not read."""
        self._frames = self._read()
        first = next(self._frames, None)
        if first is None or first[0] != b"H":
            raise self._unreadable(self.ended or "it does not begin with a head")
        try:
            self.head = _head.decode(first[1])
        except msgspec.DecodeError as error:
            raise self._unreadable(f"its head: {error}") from error

    def entries(self) -> Iterator[Entry]:
        """Every whole entry, up to the end, to where a crash tore it, or to damage."""
        for kind, payload in self._frames:
            try:
                if kind == b"Z":
                    self.ended = _end.decode(payload).reason
                    self.whole = True
                    return
                batch = _entries.decode(payload)
            except msgspec.DecodeError as error:
                self._damage(f"damaged: {error}")
                return
            yield from batch
        self.ended = self.ended or "open: it is being written, or its decider was killed"

    def _read(self) -> Iterator[tuple[bytes, bytes]]:
        unpacker = zlib.decompressobj()
        try:
            with self.path.open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise self._unreadable("this is no input journal")
                while header := file.read(_frame.size):
                    at = file.tell() - len(header)
                    if len(header) < _frame.size:
                        self.ended = f"torn at byte {at}"
                        return
                    kind, length, checksum = _frame.unpack(header)
                    packed = file.read(min(length, MAX_FRAME))
                    if len(packed) < length:
                        self.ended = f"torn at byte {at}"
                        return
                    if zlib.crc32(kind + packed) != checksum:
                        self._damage(f"damaged at byte {at}: the checksum does not hold")
                        return
                    yield kind, unpacker.decompress(packed)
        except OSError as error:
            raise self._unreadable(f"cannot be read: {error.strerror}") from error
        except zlib.error as error:
            self._damage(f"damaged: {error}")

    def _damage(self, what: str) -> None:
        self.ended, self.damaged = what, True

    def _unreadable(self, problem: str) -> JournalUnreadable:
        return JournalUnreadable(
            problem,
            place=str(self.path),
            cure=f"name a decider's `inputs/*{SUFFIX}`, or the folder of a place",
        )


def segments_of(folder: Path) -> list[Path]:
    """The segment files of one journal, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))
