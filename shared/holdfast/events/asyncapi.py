"""The AsyncAPI 3 document of everything Holdfast publishes for others to read."""

from typing import Any

import msgspec

from holdfast import subjects
from holdfast.events.envelope import CONTENT_TYPE, Envelope, encode_envelope
from holdfast.events.examples import examples
from holdfast.events.registry import event_name, event_type, event_types
from holdfast.events.schema import summary

Node = dict[str, Any]
_REFS = "#/components/schemas/{name}"


def asyncapi() -> Node:
    """The document as plain data, in a fixed order."""
    names = [event_name(cls) for cls in event_types().values()]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Holdfast events",
            "version": "1",
            "description": (
                "The public, replayable record of everything Holdfast sees, decides and does. "
                f"Subscribe to `{subjects.EVENTS}` to get all of it. Ignore unknown fields and "
                "unknown types: fields are only ever added, and a breaking change is a new version "
                "of a type, published beside the old one."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "bus": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "Any nats-server of the cluster.",
            }
        },
        "channels": {name: _channel(name) for name in names},
        "operations": {f"publish_{name}": _operation(name) for name in names},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(name: str) -> Node:
    return {
        "address": subjects.event(name),
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(name: str) -> Node:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }


def _messages() -> Node:
    shown = examples()
    return {
        event_name(cls): {
            "name": kind,
            "title": cls.__name__,
            "summary": summary(cls),
            "contentType": CONTENT_TYPE,
            "correlationId": {
                "description": "The incident: the id of the event that began it.",
                "location": "$message.payload#/correlationid",
            },
            "payload": {"$ref": _REFS.format(name=f"{cls.__name__}Event")},
            "examples": [
                {
                    "name": event_name(cls),
                    "payload": msgspec.json.decode(encode_envelope(shown[kind])),
                }
            ],
        }
        for kind, cls in event_types().items()
    }


def _schemas() -> Node:
    types = list(event_types().values())
    structs: list[type[msgspec.Struct]] = [Envelope, *types]
    _, components = msgspec.json.schema_components(structs, ref_template=_REFS)
    for cls in structs:
        components[cls.__name__]["description"] = summary(cls)
    whole = {
        f"{cls.__name__}Event": {
            "allOf": [
                {"$ref": _REFS.format(name="Envelope")},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event_type(cls)},
                        "data": {"$ref": _REFS.format(name=cls.__name__)},
                    },
                },
            ]
        }
        for cls in types
    }
    return {**components, **whole}
