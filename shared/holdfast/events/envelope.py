"""The envelope: CloudEvents 1.0 in structured JSON, hash-chained per producer.

Decoding is in two steps: the envelope first, with `data` left raw, then `data` by its type. So an
unknown type can still be stored, verified and shown.
"""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.errors import HoldfastError

CONTENT_TYPE = "application/cloudevents+json"
MAX_EVENT_BYTES = 256 * 1024
SEQUENCE_DIGITS = 16
FIRST_PREVIOUS_HASH = "0" * 64


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One event as it travels on `ha.events.<name>`."""

    specversion: Annotated[str, Meta(pattern=r"^1\.0$", description="CloudEvents version")] = "1.0"
    id: Annotated[str, Meta(max_length=36, description="UUIDv7; also the Nats-Msg-Id")]
    source: Annotated[str, Meta(max_length=200, description="/<cluster>/<place>/<service>")]
    type: Annotated[str, Meta(max_length=100, description="holdfast.<name>.v<version>")]
    subject: Annotated[str, Meta(max_length=300, description="the entity, e.g. node/alpha")]
    time: Annotated[str, Meta(max_length=40, description="RFC 3339 wall time, for display only")]
    datacontenttype: str = "application/json"
    dataschema: Annotated[str, Meta(max_length=200, description="URI of the JSON Schema of data")]
    correlationid: Annotated[
        str, Meta(max_length=36, description="the incident: the id of the event that began it")
    ]
    causationid: (
        Annotated[str, Meta(max_length=36, description="the event that directly caused this one")]
        | None
    ) = None
    sequence: Annotated[
        str, Meta(max_length=16, description="position in the producer's chain, zero-padded")
    ]
    previoushash: Annotated[str, Meta(max_length=64, description="hash of the event before it")]
    hash: Annotated[str, Meta(max_length=64, description="SHA-256 of everything else, in hex")]
    traceparent: (
        Annotated[str, Meta(max_length=55, description="W3C trace context of the producing span")]
        | None
    ) = None
    data: msgspec.Raw


class MalformedEvent(HoldfastError):
    """Bytes that are not an envelope, are too large, or whose data does not fit its type."""


_envelope_decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)


def decode_envelope(raw: bytes, *, place: str) -> Envelope:
    """Decode the outer step. Raises MalformedEvent, naming `place`."""
    if len(raw) > MAX_EVENT_BYTES:
        raise MalformedEvent(
            f"{len(raw)} bytes, more than the {MAX_EVENT_BYTES} allowed",
            place=place,
            cure="find the producer that sends it; Holdfast's own events are far smaller",
        )
    try:
        return _envelope_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(
            str(error), place=place, cure="only Holdfast's services may publish to ha.events.*"
        ) from error


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes that are spooled, published and stored."""
    return msgspec.json.encode(envelope)


def compute_hash(envelope: Envelope) -> str:
    """The hash an envelope must carry: canonical, so re-serialising does not matter."""
    fields = {
        name: getattr(envelope, name)
        for name in envelope.__struct_fields__
        if name not in ("hash", "data")
    }
    fields["data"] = msgspec.json.decode(envelope.data)
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def sequence_text(number: int) -> str:
    """A sequence number as the zero-padded text that sorts as the number does."""
    assert 0 < number < 10**SEQUENCE_DIGITS, number
    return f"{number:0{SEQUENCE_DIGITS}d}"
