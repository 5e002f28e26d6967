"""Writes docs/configuration.md from the types: `python -m holdfast.config.generate`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from holdfast.config import model, volumes
from holdfast.config.meanings import MEANINGS
from holdfast.field_table import Cells, Schema, cells, choices, row

PAGE = "configuration.md"
TAGS = ("kind", "driver")
"""Keys that choose between types, and are told in the titles."""
_HEAD = """# The cluster file

One TOML file per cluster, the same on every place. `holdfast config check FILE` names every
problem at once, with its key and its cure. A key that is not on this page is an error. Durations
are seconds. This page is generated from the types: change those, then `make generate`.

A whole file: [examples/cluster.toml](examples/cluster.toml). What the times of a profile are:
[tuning.md](tuning.md).
"""


def reference() -> str:
    """The page as Markdown."""
    schema = msgspec.json.schema(model.ClusterFile)
    definitions: dict[str, Schema] = schema["$defs"]
    parts = [_HEAD]
    for name, definition in definitions.items():
        if "properties" in definition:
            parts.append(_section(name, definition, definitions))
    return "\n".join(parts)


def write(docs: Path) -> Path:
    """Write the page below `docs`; returns its path."""
    path = docs / PAGE
    path.write_text(reference(), encoding="utf-8")
    return path


def _section(name: str, definition: Schema, definitions: dict[str, Schema]) -> str:
    lines = [f"## {_title(name)}", "", _summary(name), ""]
    fields = {key: one for key, one in definition["properties"].items() if key not in TAGS}
    if fields:
        lines += ["| key | type | bounds | default | meaning |", "|---|---|---|---|---|"]
    for key, field in fields.items():
        kind, bounds, _ = cells(field, definitions, _refer)
        optional = key not in definition.get("required", [])
        default = _default(field["default"]) if optional else "*required*"
        kind = kind.removesuffix(" or null")  # TOML has no null: the key is left out
        lines.append(row(f"`{key}`", kind, bounds, default, MEANINGS[name][key]))
    return "\n".join([*lines, ""] if fields else lines)


def _title(name: str) -> str:
    """`Resource of kind process`, or the table's own name where the docstring begins with it."""
    kind = _struct(name)
    config = kind.__struct_config__
    if config.tag:
        return f"{re.findall('[A-Z][a-z]+', name)[-1]} of {config.tag_field} {config.tag}"
    named = re.match(r"`(.+?)`", kind.__doc__ or "")
    return f"`{named[1]}`" if named else "The file"


def _summary(name: str) -> str:
    text = " ".join((_struct(name).__doc__ or "").split())
    said = re.sub(r"^`.+?`( of an? [a-z ]+)?: ", "", text)
    return said[0].upper() + said[1:]


def _struct(name: str) -> type[msgspec.Struct]:
    kind: type[msgspec.Struct] = getattr(model, name, None) or getattr(volumes, name)
    return kind


def _refer(name: str, definition: Schema) -> Cells:
    if "enum" in definition:
        return "one of", choices(definition), ""
    title = _title(name)
    anchor = re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
    return f"[{title}](#{anchor})", "", ""


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return "as below" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    if not folder.is_dir():
        sys.exit(f"{folder} is no folder\n  cure: run this in the project's root, or name docs/")
    sys.stdout.write(f"{write(folder)} written\n")
