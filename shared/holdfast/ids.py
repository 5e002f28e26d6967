"""Identifiers. An event's id is a UUIDv7: ids sort by creation and serve as trace ids."""

import secrets
import time
from collections.abc import Callable
from uuid import UUID

Mint = Callable[[], str]
"""Gives a fresh event id. Cores take one as an argument, so that a replay mints the same ids."""


def uuid7() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
