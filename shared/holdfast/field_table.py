"""Fields of a JSON Schema in words, for the reference pages that are generated from types. Pure."""

import json
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
Cells = tuple[str, str, str]
"""Type, bounds and meaning."""
Refer = Callable[[str, Schema], Cells]
"""What to say of a field that refers to a definition: its name and schema."""

_BOUNDS = (
    ("minimum", "≥", ""),
    ("exclusiveMinimum", ">", ""),
    ("maximum", "≤", ""),
    ("maxLength", "≤", " characters"),
    ("minItems", "≥", " items"),
    ("maxItems", "≤", " items"),
    ("minProperties", "≥", " entries"),
    ("maxProperties", "≤", " entries"),
)


def cells(field: Schema, definitions: dict[str, Schema], refer: Refer) -> Cells:
    """Type, bounds and meaning of one field."""
    if "anyOf" in field:
        kinds = [cells(choice, definitions, refer) for choice in field["anyOf"]]
        meaning = next((meaning for _, _, meaning in kinds if meaning), "")
        bounds = "; ".join(bounds for _, bounds, _ in kinds if bounds)
        return " or ".join(kind for kind, _, _ in kinds), bounds, meaning
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return refer(name, definitions[name])
    if "enum" in field:
        return "one of", choices(field), field.get("description", "")
    bounds = ", ".join(
        f"{sign} {json.dumps(field[key])}{unit}" for key, sign, unit in _BOUNDS if key in field
    )
    if "pattern" in field:
        bounds = f"{bounds}, `{field['pattern']}`".removeprefix(", ")
    return _kind(field, definitions, refer), bounds, field.get("description", "")


def choices(field: Schema) -> str:
    """The values of an enumeration."""
    return ", ".join(f"`{value}`" for value in field["enum"])


def row(*texts: str) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _kind(field: Schema, definitions: dict[str, Schema], refer: Refer) -> str:
    if field.get("type") == "array":
        return f"list of {cells(field['items'], definitions, refer)[0]}"
    if isinstance(extra := field.get("additionalProperties"), dict):
        return f"map to {cells(extra, definitions, refer)[0]}"
    return str(field.get("type", "any"))
