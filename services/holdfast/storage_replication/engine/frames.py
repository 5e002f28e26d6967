"""What primary and replica say to each other. Strict: whatever is wrong ends the connection."""

import struct
from enum import IntEnum

import msgspec
from isal.isal_zlib import crc32  # zlib's takes as long as the rest of a 128 KiB write

from holdfast.errors import HoldfastError

_BARE = struct.Struct("!4sBBHQQQII")
# magic, kind, flags, zero, epoch, sequence, offset, length, bytes of payload; then the checksum
_HEADER = struct.Struct(_BARE.format + "I")
SIZE = _HEADER.size
_MAGIC = b"HFv1"
MAX_PAYLOAD = 1 << 20
"""Bytes; longer writes are sent in pieces."""
MAX_LENGTH = 64 << 20
"""Bytes of one ZERO; longer ones are sent in pieces."""


class Kind(IntEnum):
    """`→` primary to replica, `←` replica to primary. Sequence numbers are the primary's."""

    HELLO = 1  # → who I am, at which epoch
    WELCOME = 2  # ← what I have
    REFUSED = 3  # ← epoch: the highest I know; payload: why
    BEGIN = 4  # → comparing begins; IN_PLACE: the record counts on you
    WRITE = 5  # →
    ZERO = 6  # → PUNCH: it may free the space
    FLUSH = 7  # → make durable what came before
    APPLIED = 8  # ← everything up to `sequence`
    FLUSHED = 9  # ← everything up to `sequence`
    HASH = 10  # → tell the checksums of the blocks there; VERIFY: for the background compare
    HASHES = 11  # ← they
    SETTLED = 12  # → you are as I am, and count: drop your undo log
    CLEAN = 13  # → everybody has made durable what came up to `sequence`
    PING = 14  # →
    PONG = 15  # ←
    RESIZE = 16  # → grow to `offset` bytes
    RESIZED = 17  # ← I did


IN_PLACE = 1
VERIFY = 1
PUNCH = 1
_FLAGS = {Kind.BEGIN: IN_PLACE, Kind.HASH: VERIFY, Kind.HASHES: VERIFY, Kind.ZERO: PUNCH}
_WITH_PAYLOAD = frozenset({Kind.HELLO, Kind.WELCOME, Kind.REFUSED, Kind.WRITE, Kind.HASHES})
_OF_SOMETHING = frozenset({Kind.WRITE, Kind.ZERO, Kind.HASH})
_RULES = {
    int(kind): (kind, _FLAGS.get(kind, 0), MAX_PAYLOAD if kind in _WITH_PAYLOAD else 0)
    for kind in Kind
}
"""By the number of a kind: it, the flags that it may have, and the most bytes of its payload."""
_END = 1 << 63
_BARE_SIZE = _BARE.size


class FrameError(HoldfastError):
    """What came is no frame: close the connection."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            problem,
            place="replication connection",
            cure="both sides must run the same version of Holdfast; if they do, check the network",
        )


class Frame(msgspec.Struct, gc=False):
    """A header, checked."""

    kind: Kind
    flags: int
    epoch: int
    sequence: int
    offset: int
    length: int


def encode(
    kind: Kind,
    epoch: int,
    sequence: int = 0,
    *,
    offset: int = 0,
    length: int = 0,
    payload: bytes | memoryview = b"",
    flags: int = 0,
) -> bytes:
    """The header of a frame; the payload is sent behind it."""
    size = len(payload)
    bare = _BARE.pack(_MAGIC, kind, flags, 0, epoch, sequence, offset, length, size)
    checksum = crc32(payload, crc32(bare))
    return bare + checksum.to_bytes(4, "big")


def parse(data: memoryview) -> tuple[Frame, memoryview] | None:
    """The frame that `data` begins with, and its payload, which is a part of `data`.

    None: more must arrive. Raises FrameError; then nothing may follow.
    """
    if len(data) < SIZE:
        return None
    magic, number, flags, zero, epoch, sequence, offset, length, size, checksum = (
        _HEADER.unpack_from(data)
    )
    rule = _RULES.get(number)
    if magic != _MAGIC or zero or rule is None:
        raise FrameError("not a frame of this protocol")
    kind, allowed, most = rule
    if flags & ~allowed:
        raise FrameError(f"{kind.name}: unknown flags {flags:#x}")
    if size > most or length > MAX_LENGTH or offset + length >= _END:
        raise FrameError(f"{kind.name}: {size} bytes for {length} at {offset} are too many")
    if kind is Kind.WRITE and size != length:
        raise FrameError(f"WRITE: {size} bytes for {length}")
    if not length and kind in _OF_SOMETHING:
        raise FrameError(f"{kind.name}: of nothing")
    end = SIZE + size
    if len(data) < end:
        return None
    payload = data[SIZE:end]
    bare = crc32(data[:_BARE_SIZE])
    if (crc32(payload, bare) if size else bare) != checksum:
        raise FrameError(f"{kind.name}: wrong checksum")
    return Frame(kind, flags, epoch, sequence, offset, length), payload
