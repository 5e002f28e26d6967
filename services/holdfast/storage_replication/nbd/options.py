"""What the data of an option says, and what is told of an export; pure."""

import struct

import msgspec

from holdfast import nbd_protocol as protocol
from holdfast.nbd_protocol import Info, Transmission

_LENGTH = struct.Struct(">I")
_SHORT = struct.Struct(">H")


class Malformed(Exception):
    """An option's data is not what the option asks for. The text says what is wrong."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The one volume that a server offers, under its name and under the empty name."""

    name: str
    size: int
    read_only: bool = False

    def is_called(self, name: bytes) -> bool:
        """Whether a client that says `name` means this export."""
        return name in (b"", self.name.encode())

    def flags(self, *, structured: bool) -> Transmission:
        """Multi-conn always: one process with one file serves all connections."""
        flags = (
            Transmission.HAS_FLAGS
            | Transmission.SEND_FLUSH
            | Transmission.SEND_FUA
            | Transmission.CAN_MULTI_CONN
        )
        if self.read_only:
            flags |= Transmission.READ_ONLY
        else:
            flags |= Transmission.SEND_TRIM | Transmission.SEND_WRITE_ZEROES
        return flags | Transmission.SEND_DF if structured else flags

    def info(self, kind: int, *, structured: bool) -> bytes | None:
        """What an INFO reply carries; None: nothing is said about that."""
        if kind == Info.EXPORT:
            return struct.pack(">HQH", kind, self.size, self.flags(structured=structured))
        if kind == Info.NAME:
            return _SHORT.pack(kind) + self.name.encode()
        if kind == Info.DESCRIPTION:
            return _SHORT.pack(kind) + f"Holdfast volume {self.name}".encode()
        if kind == Info.BLOCK_SIZE:
            return struct.pack(
                ">HIII",
                kind,
                protocol.MIN_BLOCK,
                protocol.PREFERRED_BLOCK,
                protocol.MAX_PAYLOAD,
            )
        return None


def name_and_infos(data: bytes) -> tuple[bytes, list[int]]:
    """The data of INFO and GO: the export's name, what is asked. Raises Malformed."""
    name, at = _string(data, 0)
    if len(data) - at < _SHORT.size:
        raise Malformed("the number of information requests is missing")
    (count,) = _SHORT.unpack_from(data, at)
    at += _SHORT.size
    if len(data) - at != count * _SHORT.size:
        raise Malformed(f"{count} information requests do not take {len(data) - at} bytes")
    return name, [kind for (kind,) in _SHORT.iter_unpack(data[at:])]


def name_and_queries(data: bytes) -> tuple[bytes, list[bytes]]:
    """The data of LIST_META_CONTEXT and SET_META_CONTEXT. Raises Malformed."""
    name, at = _string(data, 0)
    if len(data) - at < _LENGTH.size:
        raise Malformed("the number of queries is missing")
    (count,) = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    if count * _LENGTH.size > len(data) - at:
        raise Malformed(f"{count} queries do not fit into {len(data) - at} bytes")
    queries = []
    for _ in range(count):
        query, at = _string(data, at)
        queries.append(query)
    if at != len(data):
        raise Malformed(f"{len(data) - at} bytes follow the last query")
    return name, queries


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    if len(data) - at < _LENGTH.size:
        raise Malformed("a length is missing")
    (length,) = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    if length > protocol.MAX_STRING:
        raise Malformed(f"a string of {length} bytes is longer than {protocol.MAX_STRING}")
    if length > len(data) - at:
        raise Malformed(f"a string of {length} bytes does not fit into {len(data) - at}")
    return data[at : at + length], at + length
