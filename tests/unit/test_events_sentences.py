"""Every event type has a sentence, and no event makes telling it fail."""

import msgspec
import pytest

from holdfast.events import event_types
from holdfast.events.examples import examples, record
from holdfast.events.ownership import MoveKind
from holdfast.events.sentences import describe, seconds


@pytest.mark.parametrize("kind", sorted(event_types()))
def test_every_type_has_its_own_sentence(kind: str) -> None:
    text = describe(examples()[kind])
    assert 10 < len(text) < 300
    assert not text.endswith(".")
    assert "\n" not in text
    assert kind not in text, "a sentence, not the type's name"


def test_sentences_name_what_matters() -> None:
    said = [describe(envelope) for envelope in record()]
    for expected in (
        "Decided to fail over ledger from alpha to beta (epoch 2)",
        "alpha is suspected: silent for 1.52 s",
        "fence_ipmilan after 180 ms: alpha is off (chassis power is off)",
        "ledger runs, verified, on beta; the failover took 2.12 s",
        "pager could not be notified in 5 attempts: connection refused",
    ):
        assert expected in said


@pytest.mark.parametrize("kind", list(MoveKind))
@pytest.mark.parametrize("name", ["decision_made", "move_completed", "move_failed"])
def test_every_kind_of_move_reads_as_a_sentence(kind: MoveKind, name: str) -> None:
    example = examples()[f"holdfast.{name}.v1"]
    data = msgspec.json.decode(example.data)
    other = msgspec.Raw(msgspec.json.encode({**data, "kind": kind}))
    text = describe(msgspec.structs.replace(example, data=other))
    assert "unreadable" not in text
    assert "ledger" in text


def test_an_unknown_type_and_unreadable_data_are_still_described() -> None:
    known = examples()["holdfast.group_held.v1"]
    newer = msgspec.structs.replace(known, type="holdfast.group_blessed.v7")
    assert "a type this version does not know" in describe(newer)
    broken = msgspec.structs.replace(known, data=msgspec.Raw(b'{"group": 3}'))
    assert "unreadable here" in describe(broken)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 ms"), (0.0214, "21 ms"), (0.9996, "1.00 s"), (61.5, "61.50 s")]
)
def test_durations_read_well(value: float, text: str) -> None:
    assert seconds(value) == text
