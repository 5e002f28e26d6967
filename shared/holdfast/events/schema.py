"""JSON Schema 2020-12 of every event, made from the types."""

from typing import Any

import msgspec

from holdfast.events.chain import SCHEMA_ROOT
from holdfast.events.envelope import CONTENT_TYPE, Envelope
from holdfast.events.registry import EventData, event_name, event_type

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def event_schema(cls: type[EventData]) -> Schema:
    """The schema of the whole event: the envelope with `type` fixed and `data` typed.

    The data's own schema is embedded under the URI that the event's `dataschema` names.
    """
    name = event_name(cls)
    envelope = _inlined(Envelope)
    properties = {
        **envelope["properties"],
        "type": {"const": event_type(cls), "description": "the event's type and version"},
        "dataschema": {"const": data_schema_uri(cls)},
        "data": {"$ref": data_schema_uri(cls)},
    }
    return {
        "$schema": DIALECT,
        "$id": f"{SCHEMA_ROOT}/event/{name}.json",
        "title": event_type(cls),
        "description": summary(cls),
        "contentMediaType": CONTENT_TYPE,
        "type": "object",
        "properties": properties,
        "required": envelope["required"],
        "$defs": {"data": {"$id": data_schema_uri(cls), **_inlined(cls)}},
    }


def data_schema_uri(cls: type[EventData]) -> str:
    """The URI an event of this type carries in `dataschema`."""
    return f"{SCHEMA_ROOT}/{event_name(cls)}.json"


def summary(cls: type[msgspec.Struct]) -> str:
    """The type's docstring on one line."""
    return " ".join((cls.__doc__ or "").split())


def _inlined(cls: type[msgspec.Struct]) -> Schema:
    """The schema of a struct with itself at the top, and only what it refers to in `$defs`."""
    schema = msgspec.json.schema(cls)
    definitions = dict(schema["$defs"])
    top: Schema = definitions.pop(cls.__name__)
    top["description"] = summary(cls)
    return {**top, "$defs": definitions} if definitions else top
