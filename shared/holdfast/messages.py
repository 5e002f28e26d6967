"""Decoding of untrusted bytes: a value, or what is wrong with them."""

from typing import Any, TypeVar

import msgspec

from holdfast.wire import MAX_MESSAGE_BYTES

T = TypeVar("T")
WIRE_VERSION = 1


class Bad(msgspec.Struct, frozen=True):
    """Why a message is rejected. `kind` is that of `message_rejected` events."""

    kind: str
    reason: str


def decode(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T | Bad:
    """Decode a wire message, or say what it is: oversized, of another version, or malformed."""
    if len(raw) > MAX_MESSAGE_BYTES:
        return Bad("oversized", f"{len(raw)} bytes, {MAX_MESSAGE_BYTES} allowed")
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _explain(raw, str(error))


def _explain(raw: bytes, problem: str) -> Bad:
    try:
        message: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Bad("malformed", problem[:500])
    version = message.get("wire", WIRE_VERSION) if isinstance(message, dict) else WIRE_VERSION
    if isinstance(version, int) and version != WIRE_VERSION:
        return Bad("unknown_version", f"wire version {version}, this service speaks {WIRE_VERSION}")
    return Bad("malformed", problem[:500])
