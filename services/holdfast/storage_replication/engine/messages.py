"""The payloads of the handshake."""

import msgspec

PROTOCOL = 1


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """A primary introduces itself; the epoch is the frame's."""

    protocol: int = PROTOCOL
    uuid: str
    primary: str
    member: str
    """Whom it takes the other for."""
    size: int
    instance: str = ""
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
