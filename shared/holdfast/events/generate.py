"""Writes docs/events.md and docs/events/** from the types: `python -m holdfast.events.generate`."""

import json
import sys
from pathlib import Path

import msgspec

from holdfast.events.asyncapi import asyncapi
from holdfast.events.envelope import encode_envelope
from holdfast.events.examples import examples
from holdfast.events.reference import reference
from holdfast.events.registry import event_name, event_types
from holdfast.events.schema import event_schema


def generated() -> dict[str, str]:
    """Every generated file: its path below docs/, and its text."""
    files = {"events.md": reference(), "events/asyncapi.json": _json(asyncapi())}
    shown = examples()
    for kind, cls in event_types().items():
        name = event_name(cls)
        files[f"events/schemas/{name}.json"] = _json(event_schema(cls))
        example = msgspec.json.decode(encode_envelope(shown[kind]))
        files[f"events/examples/{name}.json"] = _json(example)
    return files


def write(docs: Path) -> int:
    """Write all files below `docs`, remove those of types that are gone; returns how many."""
    files = generated()
    for folder in ("events/schemas", "events/examples"):
        (docs / folder).mkdir(parents=True, exist_ok=True)
        for present in (docs / folder).iterdir():
            if f"{folder}/{present.name}" not in files:
                present.unlink()
    for path, text in files.items():
        (docs / path).write_text(text, encoding="utf-8")
    return len(files)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    docs = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    if not docs.is_dir():
        sys.exit(f"{docs} is no folder\n  cure: run this in the project's root, or name docs/")
    sys.stdout.write(f"{write(docs)} files written below {docs}\n")
