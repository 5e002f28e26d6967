"""What `holdfast why` and `holdfast audit verify` show of the example record."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from holdfast.console import audit, timeline, why
from holdfast.events import Envelope, encode_envelope
from holdfast.events.audit import NotFound, find_incident, incident
from holdfast.events.examples import record
from holdfast.events.sentences import describe

RECORD = record()


def _decision(number: int) -> Envelope:
    return [e for e in RECORD if e.type == "holdfast.decision_made.v1"][number]


def _shown(wanted: str | None, width: int) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    why.show(why.explain(RECORD, wanted), console)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_tree_tells_the_whole_incident_and_fits_the_screen(width: int) -> None:
    failover = _decision(1).correlationid
    text = _shown(failover, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= min(width, 120)
    # Wrapping may fall anywhere, so whole sentences are looked for without their spaces.
    told = "".join(text.split())
    for envelope in RECORD:
        if envelope.correlationid == failover:
            assert "".join(describe(envelope).split()) in told
    for expected in ("owner_proven_dead", "waitforalpha", "Wherethetimewent", "72%"):
        assert expected in told


def test_the_tree_at_full_width_shows_cause_branches_and_evidence() -> None:
    lines = [line.rstrip() for line in _shown(_decision(1).id[:-2], 120).splitlines()]
    assert lines[0] == f"Incident {_decision(1).correlationid}"
    assert lines[2] == "ledger runs, verified, on beta; the failover took 2.12 s"
    tree = [line[8:] for line in lines if line.startswith(("+", "-"))]
    assert tree[0].startswith("beta/decider     ● node/alpha is unknown")
    assert tree[1] == "beta/decider     ↓ alpha is suspected: silent for 1.52 s"
    assert tree[2] == "witness/notifier ├ ops was notified"
    assert tree[3] == "beta/decider     └ fence_ipmilan is asked whether alpha is off"
    notes = [" ".join(line.split()) for line in lines]
    assert "rule owner_proven_dead" in notes
    assert "rejected wait for alpha: its fence device says that it is off" in notes
    assert "hold: beta is healthy and in the list" in notes


def test_the_timeline_adds_up_and_tells_start_from_verify() -> None:
    (line,) = timeline.timelines(why.explain(RECORD, _decision(1).correlationid))
    assert [(p.name, p.took) for p in line.phases] == [
        ("suspect", 1.52),
        ("fence", 0.18),
        ("decide", 0.02),
        ("start", 0.35),
        ("verify", 0.05),
    ]
    assert line.total == pytest.approx(sum(p.took for p in line.phases))
    for before, after in zip(line.phases, line.phases[1:], strict=False):
        assert after.begin == pytest.approx(before.begin + before.took)


def test_a_local_recovery_has_a_timeline_too() -> None:
    (line,) = timeline.timelines(why.explain(RECORD, RECORD[_index("recovery_succeeded")].id))
    assert (line.title, line.total) == ("recovery of ledger/server on alpha", 0.22)


def _index(name: str) -> int:
    return next(n for n, e in enumerate(RECORD) if e.type == f"holdfast.{name}.v1")


def test_json_nests_every_event_by_its_cause() -> None:
    made = why.to_json(why.explain(RECORD, _decision(1).correlationid))
    seen: list[str] = []
    waiting = [(None, node) for node in made["roots"]]
    while waiting:
        cause, node = waiting.pop()
        assert node["event"].get("causationid") == cause
        seen.append(node["event"]["id"])
        waiting += [(node["event"]["id"], child) for child in node["caused"]]
    assert sorted(seen) == [e.id for e in RECORD if e.correlationid == _decision(1).correlationid]
    assert msgspec.json.decode(msgspec.json.encode(made)) == made


def test_an_incident_is_found_by_group_id_prefix_and_by_default() -> None:
    held = RECORD[_index("group_held")]
    assert find_incident(RECORD, None) == held.correlationid
    assert find_incident(RECORD, "ledger") == held.correlationid
    for envelope in RECORD:
        assert find_incident(RECORD, envelope.id) == envelope.correlationid


@pytest.mark.parametrize("wanted", ["01", "no-such-group", "ffffffff", ""])
def test_what_is_not_there_is_said_with_a_cure(wanted: str) -> None:
    with pytest.raises(NotFound, match="cure: "):
        find_incident(RECORD, wanted)


def test_an_ambiguous_prefix_names_the_candidates() -> None:
    with pytest.raises(NotFound, match=r"incidents fit: .*, "):
        find_incident(RECORD, "019b")


def test_an_empty_record_has_no_incident() -> None:
    with pytest.raises(NotFound, match="nothing has happened yet"):
        find_incident([], None)


def test_a_record_with_holes_is_still_shown() -> None:
    failover = [e for e in RECORD if e.correlationid == _decision(1).correlationid]
    for missing in failover:
        rest = [e for e in failover if e is not missing]
        found = incident(rest, failover[0].correlationid)
        assert len(found.steps()) == len(rest)


def test_a_forged_circle_of_causes_is_still_shown() -> None:
    first, second = [e for e in RECORD if e.correlationid == _decision(1).correlationid][:2]
    forged = msgspec.structs.replace(first, causationid=second.id)
    found = incident([forged, second], first.correlationid)
    assert len(found.steps()) == 2


def _file(tmp_path: Path, envelopes: list[Envelope], extra: bytes = b"") -> Path:
    path = tmp_path / "record.jsonl"
    path.write_bytes(b"".join(encode_envelope(e) + b"\n" for e in envelopes) + extra)
    return path


async def _verify(path: Path, *, as_json: bool = False) -> tuple[int, str]:
    console = Console(record=True, width=100, file=io.StringIO())
    code = await audit.verify(path, console, as_json=as_json)
    return code, console.export_text()


async def test_a_sound_file_passes(tmp_path: Path) -> None:
    code, text = await _verify(_file(tmp_path, list(RECORD)))
    assert code == audit.SOUND
    assert f"The record proves itself: {len(RECORD)} events" in text
    assert "/demo/alpha/failover_decider" in text


async def test_a_tampered_file_fails_and_says_where_and_what_to_do(tmp_path: Path) -> None:
    victim = RECORD[_index("fence_finished")]
    forged = msgspec.structs.replace(
        victim, data=msgspec.Raw(bytes(victim.data).replace(b'"on"', b'"off"'))
    )
    kept = [forged if e is victim else e for e in RECORD]
    code, text = await _verify(_file(tmp_path, kept, b"not json\n"))
    assert code == audit.UNSOUND
    assert "bad_hash" in text
    assert victim.id in text.replace("\n", "")
    assert "restore the stream's backup" in text
    assert f"record.jsonl:{len(RECORD) + 1}" in text


async def test_the_report_as_json_is_whole(tmp_path: Path) -> None:
    code, text = await _verify(_file(tmp_path, list(RECORD[1:])), as_json=True)
    report = msgspec.json.decode(text)
    assert code == audit.UNSOUND
    assert report["passed"] is False
    assert {finding["kind"] for finding in report["findings"]} == {"gap"}


async def test_a_missing_file_is_told_apart_from_a_bad_record(tmp_path: Path) -> None:
    code, text = await _verify(tmp_path / "none.jsonl")
    assert code == audit.UNREADABLE
    assert "cure:" in text
