"""The reference page of all events, docs/events.md, made from the types."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

from holdfast import subjects
from holdfast.events.audit.roles import ACTION_TYPES, ROOT_TYPES
from holdfast.events.registry import EventData, event_name, event_types
from holdfast.events.schema import event_schema, summary
from holdfast.field_table import cells, choices, row

_HEAD = f"""# Events

Everything Holdfast sees, decides and does is an event: a CloudEvent 1.0 in structured JSON on
`ha.events.<name>`, kept in the JetStream stream `{subjects.EVENT_STREAM}`. `docs/subscribe.md`
shows how to listen. This page is generated from the types: change those, then `make generate`.
Beside it: a [JSON Schema](events/schemas) and an [example](events/examples) per type, and the
[AsyncAPI 3 document](events/asyncapi.json).

**Reading them.** Ignore fields and types you do not know: fields are only ever added, and a
breaking change is a new version of a type, published beside the old one. Delivery is at least
once: `id` tells a repetition. `time` is for people; durations in `data` are measured on one
machine's monotonic clock.

**Trusting them.** Every producer chains its events: `sequence` counts, `previoushash` is the
`hash` of the one before, and `hash` covers everything else. `causationid` names the event that
directly caused this one. Every *action* leads back, cause by cause, to a *root*: a signal or an
operator's request. `holdfast audit verify` proves both; `holdfast why` shows it.
"""


def reference() -> str:
    """The page as Markdown."""
    parts = [_HEAD, _envelope(), *(_module(kinds) for kinds in _by_module())]
    return "\n".join(parts)


def _envelope() -> str:
    schema = event_schema(next(iter(event_types().values())))
    fields = {**schema["properties"], "data": {"type": "object", "description": "by type, below"}}
    fields["type"] = {"type": "string", "description": "`holdfast.<name>.v<version>`"}
    fields["dataschema"] = {"type": "string", "description": "URI of the JSON Schema of `data`"}
    return "\n".join(["## The envelope", "", *_table(fields, schema["required"], {}), ""])


def _by_module() -> Iterator[list[type[EventData]]]:
    modules: dict[str, list[type[EventData]]] = {}
    for cls in event_types().values():
        modules.setdefault(cls.__module__, []).append(cls)
    yield from modules.values()


def _module(kinds: list[type[EventData]]) -> str:
    module = inspect.getmodule(kinds[0])
    title = " ".join(((module and module.__doc__) or "").split()).rstrip(".")
    return "\n".join([f"## {title}", "", *(_event(cls) for cls in kinds)])


def _event(cls: type[EventData]) -> str:
    name = event_name(cls)
    data = event_schema(cls)["$defs"]["data"]
    role = " *Action.*" if name in ACTION_TYPES else " *Root.*" if name in ROOT_TYPES else ""
    example = f"[example](events/examples/{name}.json)"
    lines = [f"### {name}", "", f"{summary(cls)}{role} ({example})", ""]
    table = _table(data["properties"], data.get("required", []), data.get("$defs", {}))
    return "\n".join([*lines, *table, ""])


def _table(fields: dict[str, Any], required: list[str], definitions: dict[str, Any]) -> list[str]:
    rows = ["| field | type | bounds | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        kind, bounds, meaning = cells(field, definitions, _referred)
        optional = (
            "" if name in required else f"; optional, else `{json.dumps(field.get('default'))}`"
        )
        rows.append(row(f"`{name}`", kind, bounds + optional if bounds else optional[2:], meaning))
    return rows


def _referred(_name: str, definition: dict[str, Any]) -> tuple[str, str, str]:
    if "enum" in definition:
        return "one of", choices(definition), ""
    inner = ", ".join(f"`{name}`" for name in definition["properties"])
    return f"object of {inner}", "", definition.get("description", "")
