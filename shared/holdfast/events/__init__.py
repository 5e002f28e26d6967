"""Every event Holdfast produces, the envelope it travels in, and the chain that makes it evidence.

Importing this package registers all types. To find what produces an event, search for its class.
"""

from holdfast.events import hands, health, ownership, policies, storage, system
from holdfast.events.chain import ChainHead, Draft, seal
from holdfast.events.envelope import (
    CONTENT_TYPE,
    MAX_EVENT_BYTES,
    Envelope,
    MalformedEvent,
    decode_envelope,
    encode_envelope,
)
from holdfast.events.fields import Health, Layer
from holdfast.events.registry import EventData, decode_data, event_name, event_type, event_types

__all__ = [
    "CONTENT_TYPE",
    "MAX_EVENT_BYTES",
    "ChainHead",
    "Draft",
    "Envelope",
    "EventData",
    "Health",
    "Layer",
    "MalformedEvent",
    "decode_data",
    "decode_envelope",
    "encode_envelope",
    "event_name",
    "event_type",
    "event_types",
    "hands",
    "health",
    "ownership",
    "policies",
    "seal",
    "storage",
    "system",
]
