"""What happened, in one plain sentence per event type: for `holdfast why` and for notifications."""

from holdfast.events.envelope import Envelope, MalformedEvent
from holdfast.events.health import HealthSignal
from holdfast.events.registry import EventData, decode_data
from holdfast.events.sentences import hands, health, ownership, policies, storage, system
from holdfast.events.sentences.words import say, seconds

__all__ = [
    "describe",
    "hands",
    "health",
    "ownership",
    "policies",
    "seconds",
    "sentence",
    "storage",
    "system",
]


def describe(envelope: Envelope) -> str:
    """The sentence for an envelope of any type, known to this version or not. Never raises."""
    try:
        data = decode_data(envelope)
    except MalformedEvent as error:
        return f"{envelope.type} about {envelope.subject}, unreadable here: {error.problem}"
    if data is None:
        return f"{envelope.type} about {envelope.subject}, a type this version does not know"
    return sentence(data, envelope.subject)


def sentence(data: EventData, entity: str) -> str:
    """One sentence without a full stop. `entity` is the event's subject."""
    if isinstance(data, HealthSignal):
        return _health_signal(data, entity)
    return say(data)


def _health_signal(data: HealthSignal, entity: str) -> str:
    reason = f": {data.reason}" if data.reason else ""
    return f"{entity} is {data.state} ({data.layer}, {data.probe}; was {data.previous}){reason}"
