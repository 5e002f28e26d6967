"""NBD on the wire: numbers and messages of the public protocol document; big-endian throughout."""

import errno
import os
import struct
from enum import IntEnum, IntFlag

NBD_MAGIC = 0x4E42444D41474943
OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x0003E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_REPLY_MAGIC = 0x67446698
STRUCTURED_REPLY_MAGIC = 0x668E33EF

MAX_PAYLOAD = 32 * 1024 * 1024
"""Bytes that one READ or WRITE may carry."""
MIN_BLOCK = 1
PREFERRED_BLOCK = 4096
MAX_STRING = 4096
ALLOCATION = b"base:allocation"
ALLOCATION_ID = 1

GREETING = struct.Struct(">QQH")
CLIENT_FLAGS = struct.Struct(">I")
OPTION = struct.Struct(">QII")
OPTION_REPLY = struct.Struct(">QIII")
REQUEST = struct.Struct(">IHHQQI")
SIMPLE_REPLY = struct.Struct(">IIQ")
CHUNK = struct.Struct(">IHHQI")
DATA_CHUNK = struct.Struct(">IHHQIQ")
HOLE_CHUNK = struct.Struct(">IHHQIQI")
ERROR_CHUNK = struct.Struct(">IHHQIIH")
STATUS_CHUNK = struct.Struct(">IHHQII")
DESCRIPTOR = struct.Struct(">II")


class Handshake(IntFlag):
    """Offered by the server, and taken up by the client with the same bits."""

    FIXED_NEWSTYLE = 1
    NO_ZEROES = 2


class Transmission(IntFlag):
    """What an export can do."""

    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8


class Option(IntEnum):
    """What a client may ask for before transmission."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10


class OptionReply(IntEnum):
    """How the server answers an option."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = 2**31 + 1
    ERR_POLICY = 2**31 + 2
    ERR_INVALID = 2**31 + 3
    ERR_TLS_REQD = 2**31 + 5
    ERR_UNKNOWN = 2**31 + 6
    ERR_TOO_BIG = 2**31 + 9


class Info(IntEnum):
    """What INFO and GO tell of an export."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class Command(IntEnum):
    """Requests."""

    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7


FLAG_FUA = 1 << 0
FLAG_NO_HOLE = 1 << 1
FLAG_DF = 1 << 2
FLAG_REQ_ONE = 1 << 3

CHUNK_DONE = 1
CHUNK_NONE = 0
CHUNK_OFFSET_DATA = 1
CHUNK_OFFSET_HOLE = 2
CHUNK_BLOCK_STATUS = 5
CHUNK_ERROR = 2**15 + 1

STATE_HOLE = 1
STATE_ZERO = 2

_ALLOWED_ERRORS = {
    errno.EPERM,
    errno.EIO,
    errno.ENOMEM,
    errno.EINVAL,
    errno.ENOSPC,
    errno.EOVERFLOW,
    errno.ENOTSUP,
    errno.ESHUTDOWN,
}
_TRANSLATED = {
    errno.EDQUOT: errno.ENOSPC,
    errno.ENOBUFS: errno.ENOMEM,
    errno.EFBIG: errno.ENOSPC,
    errno.EROFS: errno.EPERM,
    errno.EACCES: errno.EPERM,
}


def wire_error(number: int) -> int:
    """The errno that the protocol allows for this one."""
    number = _TRANSLATED.get(number, number)
    return number if number in _ALLOWED_ERRORS else errno.EIO


def greeting() -> bytes:
    """The server's first words."""
    flags = Handshake.FIXED_NEWSTYLE | Handshake.NO_ZEROES
    return GREETING.pack(NBD_MAGIC, OPTION_MAGIC, flags)


def option_reply(option: int, kind: OptionReply, data: bytes = b"") -> bytes:
    """One answer to an option; errors carry their text as data."""
    return OPTION_REPLY.pack(OPTION_REPLY_MAGIC, option, kind, len(data)) + data


def simple_reply(cookie: int, error: int = 0) -> bytes:
    """An answer without data, or the head of a READ's without structured replies."""
    return SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, error, cookie)


def data_head(cookie: int, offset: int, length: int, *, last: bool) -> bytes:
    """The head of a chunk of `length` bytes that follow."""
    flags = CHUNK_DONE if last else 0
    return DATA_CHUNK.pack(
        STRUCTURED_REPLY_MAGIC, flags, CHUNK_OFFSET_DATA, cookie, length + 8, offset
    )


def hole(cookie: int, offset: int, length: int, *, last: bool) -> bytes:
    """A chunk that says: `length` zeroes."""
    flags = CHUNK_DONE if last else 0
    return HOLE_CHUNK.pack(
        STRUCTURED_REPLY_MAGIC, flags, CHUNK_OFFSET_HOLE, cookie, 12, offset, length
    )


def nothing_more(cookie: int) -> bytes:
    """The last chunk of a reply that succeeded."""
    return CHUNK.pack(STRUCTURED_REPLY_MAGIC, CHUNK_DONE, CHUNK_NONE, cookie, 0)


def error_chunk(cookie: int, error: int, message: str = "") -> bytes:
    """The last chunk of a reply that failed. `error` as from `wire_error`."""
    text = (message or os.strerror(error)).encode()[:MAX_STRING]
    return (
        ERROR_CHUNK.pack(
            STRUCTURED_REPLY_MAGIC,
            CHUNK_DONE,
            CHUNK_ERROR,
            cookie,
            6 + len(text),
            error,
            len(text),
        )
        + text
    )


def block_status(cookie: int, descriptors: list[tuple[int, int]]) -> bytes:
    """The status of consecutive extents: length and STATE_ flags of each."""
    length = 4 + DESCRIPTOR.size * len(descriptors)
    head = STATUS_CHUNK.pack(
        STRUCTURED_REPLY_MAGIC, CHUNK_DONE, CHUNK_BLOCK_STATUS, cookie, length, ALLOCATION_ID
    )
    return head + b"".join(DESCRIPTOR.pack(*descriptor) for descriptor in descriptors)
