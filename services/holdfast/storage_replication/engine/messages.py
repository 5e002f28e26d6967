"""The payloads of the handshake."""

from typing import Annotated, TypeVar

import msgspec

PROTOCOL = 1

Name = Annotated[str, msgspec.Meta(max_length=255)]
Size = Annotated[int, msgspec.Meta(le=(1 << 63) - 1)]
"""Bytes, as many as a file may have."""

T = TypeVar("T")


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """A primary introduces itself; the epoch is the frame's."""

    protocol: int = PROTOCOL
    uuid: Name
    primary: Name
    member: Name
    """Whom it takes the other for."""
    size: Size
    instance: Name = ""
    """Which copy that is; empty: not known."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """A replica accepts the epoch."""

    intact: bool
    resyncing: bool
    active: bytes
    """Its activity log: a bit per extent, little-endian, compressed (zlib)."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A replica does not; the epoch is the frame's."""

    reason: str


def decode(payload: bytes | memoryview, kind: type[T]) -> T | None:
    """None: that is no such message."""
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.DecodeError, RecursionError):  # the latter: fields nested without end
        return None
