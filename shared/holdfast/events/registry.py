"""Which event types exist. A type registers itself where it is defined, with `@event(name)`."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from holdfast.events.envelope import Envelope, MalformedEvent


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every event's data. Fields are only ever added, with defaults."""


_Data = TypeVar("_Data", bound=type[EventData])
_by_type: dict[str, type[EventData]] = {}
_names: dict[type[EventData], tuple[str, int]] = {}
_decoders: dict[str, msgspec.json.Decoder[EventData]] = {}


def event(name: str, version: int = 1) -> Callable[[_Data], _Data]:
    """Register a data struct as `holdfast.<name>.v<version>`, published on `ha.events.<name>`."""

    def register(cls: _Data) -> _Data:
        type_name = f"holdfast.{name}.v{version}"
        assert "." not in name, name
        assert type_name not in _by_type, type_name
        _by_type[type_name] = cls
        _names[cls] = (name, version)
        return cls

    return register


def event_name(data: EventData | type[EventData]) -> str:
    """The subject token of a type, e.g. `health_signal`."""
    return _names[data if isinstance(data, type) else type(data)][0]


def event_type(data: EventData | type[EventData]) -> str:
    """The CloudEvents type, e.g. `holdfast.health_signal.v1`."""
    name, version = _names[data if isinstance(data, type) else type(data)]
    return f"holdfast.{name}.v{version}"


def event_types() -> dict[str, type[EventData]]:
    """Every registered type by its CloudEvents type, in order of registration."""
    return dict(_by_type)


def decode_data(envelope: Envelope) -> EventData | None:
    """Decode the inner step. None for an unknown type; raises MalformedEvent for bad data."""
    cls = _by_type.get(envelope.type)
    if cls is None:
        return None
    decoder = _decoders.get(envelope.type)
    if decoder is None:
        decoder = _decoders[envelope.type] = msgspec.json.Decoder(cls)
    try:
        return decoder.decode(envelope.data)
    except msgspec.DecodeError as error:
        raise MalformedEvent(
            str(error),
            place=f"event {envelope.id} ({envelope.type})",
            cure="run the same Holdfast version on every place, or upgrade this reader first",
        ) from error
