"""The generated documents are fresh, complete, and say what the wire says."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from holdfast.events import decode_data, decode_envelope, event_name, event_types
from holdfast.events.asyncapi import asyncapi
from holdfast.events.envelope import compute_hash, encode_envelope
from holdfast.events.examples import examples, record
from holdfast.events.generate import generated, write
from holdfast.events.schema import DIALECT, event_schema

DOCS = Path(__file__).parents[2] / "docs"
TYPES = sorted(event_types())


def _stored_files() -> set[str]:
    found = [*DOCS.glob("events/*/*.json"), DOCS / "events/asyncapi.json", DOCS / "events.md"]
    return {str(path.relative_to(DOCS)) for path in found}


def test_nothing_is_stale_missing_or_left_over() -> None:
    files = generated()
    assert _stored_files() == set(files), "run `make generate`"
    stale = [path for path, text in files.items() if (DOCS / path).read_text("utf-8") != text]
    assert not stale, "run `make generate`"


def test_writing_removes_the_files_of_types_that_are_gone(tmp_path: Path) -> None:
    count = write(tmp_path)
    gone = tmp_path / "events/schemas/no_such_event.json"
    gone.write_text("{}")
    assert write(tmp_path) == count
    assert not gone.exists()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == count


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_an_example_that_its_schema_accepts(kind: str) -> None:
    name = event_name(event_types()[kind])
    schema = json.loads((DOCS / f"events/schemas/{name}.json").read_text("utf-8"))
    raw = (DOCS / f"events/examples/{name}.json").read_bytes()
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(raw))
    envelope = decode_envelope(raw, place=name)
    assert envelope.type == kind
    assert envelope.hash == compute_hash(envelope)
    assert isinstance(decode_data(envelope), event_types()[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_a_schema_refuses_another_types_data(kind: str) -> None:
    validator = jsonschema.Draft202012Validator(event_schema(event_types()[kind]))
    example: dict[str, Any] = msgspec.json.decode(encode_envelope(examples()[kind]))
    assert validator.is_valid(example)
    assert not validator.is_valid({**example, "data": {}})
    assert not validator.is_valid({**example, "type": "holdfast.other.v1"})
    assert validator.is_valid({**example, "data": {**example["data"], "added_later": 1}})


def test_the_record_is_deterministic() -> None:
    first = [encode_envelope(envelope) for envelope in record()]
    record.cache_clear()
    assert [encode_envelope(envelope) for envelope in record()] == first


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        here = {str(node["$ref"])} if "$ref" in node else set()
        return here.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()


def _resolve(document: dict[str, Any], reference: str) -> object:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_the_asyncapi_document_is_whole() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {f"ha.events.{event_name(cls)}" for cls in event_types().values()}
    references = _references(document)
    assert len(references) > 3 * len(TYPES)
    for reference in references:
        assert _resolve(document, reference) is not None


def test_asyncapi_payloads_accept_their_examples() -> None:
    document = asyncapi()
    for message in document["components"]["messages"].values():
        schema = {"components": document["components"], **message["payload"]}
        for example in message["examples"]:
            jsonschema.Draft202012Validator(schema).validate(example["payload"])
