"""The audit passes a true record and catches every way of falsifying it."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events import (
    ChainHead,
    Draft,
    Envelope,
    EventData,
    encode_envelope,
    event_types,
    seal,
)
from holdfast.events.audit import CURES, Audit, Finding, Kind, verify_causes, verify_chains
from holdfast.events.audit.roles import ACTION_TYPES, ROOT_TYPES
from holdfast.events.chain import head_after
from holdfast.events.envelope import compute_hash
from holdfast.events.examples import record
from holdfast.events.hands import GroupStopped, ResourceStarted
from holdfast.events.health import NodeSeen
from holdfast.events.system import NotificationSent, OperatorRequest, ServiceStarted

RECORD = record()
SOURCE = "/demo/beta/failover_decider"
CHAIN = [e for e in RECORD if e.source == SOURCE]
replace = msgspec.structs.replace


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def audit(envelopes: list[Envelope]) -> list[Finding]:
    whole = Audit()
    for envelope in envelopes:
        whole.add_raw(encode_envelope(envelope), place="test")
    return whole.report().findings


def sealed(
    data: EventData, *, id: str, incident: str | None = None, cause: str | None = None
) -> Envelope:
    draft = Draft(id=id, data=data, entity="node/x", incident=incident, cause=cause)
    return seal(draft, ChainHead(), source=f"/test/{id}/x", time="2026-01-01T00:00:00Z")[0]


def test_the_example_record_proves_itself() -> None:
    whole = Audit()
    for envelope in RECORD:
        whole.add(envelope)
    report = whole.report()
    assert report.passed, report.findings
    assert report.events == len(RECORD) == sum(p.events for p in report.producers)
    assert all(producer.ok for producer in report.producers)
    assert report.incidents == len({e.correlationid for e in RECORD})


@given(st.permutations(RECORD), st.lists(st.sampled_from(RECORD), max_size=10))
def test_order_of_arrival_and_copies_do_not_matter(
    shuffled: list[Envelope], copies: list[Envelope]
) -> None:
    assert audit([*shuffled, *copies]) == []


@given(st.data())
def test_any_lost_event_but_a_chains_last_is_noticed(data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(RECORD))
    findings = audit([e for e in RECORD if e.id != lost.id])
    chain = [e for e in RECORD if e.source == lost.source]
    named = any(lost.id in (e.causationid, e.correlationid) for e in RECORD if e.id != lost.id)
    named |= any(lost.id.encode() in bytes(e.data) for e in RECORD if e.id != lost.id)
    assert (Kind.GAP in kinds(findings)) == (chain[-1].id != lost.id)
    assert (Kind.ORPHAN in kinds(findings)) == named


@given(st.sampled_from(RECORD), st.sampled_from(sorted(set(Envelope.__struct_fields__) - {"hash"})))
def test_any_changed_field_is_noticed(victim: Envelope, name: str) -> None:
    was = getattr(victim, name)
    changed = msgspec.Raw(b'{"x":1}') if name == "data" else f"{was or ''}0"[-16:]
    forged = replace(victim, **{name: changed})
    findings = verify_chains([forged if e is victim else e for e in RECORD])
    assert kinds(findings) >= {Kind.BAD_HASH}


def _rehashed(envelope: Envelope, **changes: object) -> Envelope:
    forged = replace(envelope, **changes)
    return replace(forged, hash=compute_hash(forged))


def test_a_rewritten_event_breaks_the_link_after_it() -> None:
    forged = _rehashed(CHAIN[2], time="2026-01-15T09:00:00.000000Z")
    assert kinds(verify_chains([*CHAIN[:2], forged, *CHAIN[3:]])) == {Kind.BROKEN_LINK}


def test_two_events_in_one_place_are_a_fork() -> None:
    other = _rehashed(CHAIN[3], id="another", time="later")
    findings = verify_chains([*CHAIN, other])
    assert kinds(findings) == {Kind.FORK}
    assert findings[0].source == SOURCE


def test_a_continued_fork_is_reported_where_it_parts_only() -> None:
    head = head_after(CHAIN[2])
    branch: list[Envelope] = []
    for number in range(3):
        draft = Draft(id=f"b{number}", data=NodeSeen(node="x", boot="b"), entity="node/x")
        envelope, head = seal(draft, head, source=SOURCE, time="t")
        branch.append(envelope)
    findings = verify_chains([*CHAIN, *branch])
    assert kinds(findings) == {Kind.FORK}


def test_a_producer_that_began_again_is_noticed() -> None:
    again = _rehashed(CHAIN[0], id="again")
    assert kinds(verify_chains([*CHAIN, again])) == {Kind.SECOND_BEGINNING}


def test_a_lost_beginning_is_a_gap() -> None:
    findings = verify_chains(CHAIN[4:])
    assert [(f.kind, f.event, f.detail) for f in findings] == [
        (Kind.GAP, CHAIN[4].id, "missing before it: 1-4")
    ]


@pytest.mark.parametrize("sequence", ["", "x", "-1", "0", "²"])
def test_a_nonsense_sequence_is_a_finding_not_a_crash(sequence: str) -> None:
    assert Kind.BAD_HASH in kinds(verify_chains([_rehashed(CHAIN[0], sequence=sequence)]))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"\xff\xfe", b"[" * 1000, b'{"a":' * 50_000, b'{"id":"\\ud800"}', b"x" * 300_000],
    ids=["empty", "no-fields", "no-utf8", "nested", "deep", "surrogate", "large"],
)
def test_what_is_no_event_is_a_finding_not_a_crash(raw: bytes) -> None:
    whole = Audit()
    whole.add_raw(raw, place="HA_EVENTS 7")
    assert [(f.kind, f.source) for f in whole.report().findings] == [
        (Kind.UNREADABLE, "HA_EVENTS 7")
    ]


@pytest.mark.parametrize("data", [b'{"node":1e999999}', b'{"node":7}', b'["x"]'])
def test_bad_data_in_a_good_envelope_is_a_finding_not_a_crash(data: bytes) -> None:
    raw = encode_envelope(replace(CHAIN[0], data=msgspec.Raw(data)))
    whole = Audit()
    whole.add_raw(raw, place="test")
    assert {Kind.BAD_HASH, Kind.UNREADABLE} <= kinds(whole.report().findings)


def test_an_unknown_type_is_kept_and_verified() -> None:
    newer = _rehashed(CHAIN[-1], type="holdfast.something_new.v1")
    assert audit([*[e for e in RECORD if e.id != newer.id], newer]) == []


def test_an_action_without_a_cause_is_rootless() -> None:
    lone = sealed(GroupStopped(group="g", node="n", epoch=1, took=0.0), id="a")
    findings = verify_causes([lone])
    assert [(f.kind, f.event) for f in findings] == [(Kind.ROOTLESS, "a")]
    assert "leads back to group_stopped a, which is neither" in findings[0].detail


def test_an_action_caused_by_no_root_is_rootless_and_the_top_is_named() -> None:
    top = sealed(ServiceStarted(service="s", place="p", version="1", pid=1), id="a")
    data = GroupStopped(group="g", node="n", epoch=1, took=0.0)
    below = sealed(data, id="b", incident="a", cause="a")
    deeper = sealed(data, id="c", incident="a", cause="b")
    findings = verify_causes([deeper, top, below])
    assert {(f.kind, f.event) for f in findings} == {(Kind.ROOTLESS, "b"), (Kind.ROOTLESS, "c")}
    assert all("service_started a" in f.detail for f in findings)


def test_adopting_a_running_resource_needs_no_cause_but_starting_one_does() -> None:
    def started(adopted: bool) -> Envelope:
        data = ResourceStarted(
            group="g", resource="r", node="n", epoch=1, instance="1:1", took=0.0, adopted=adopted
        )
        return sealed(data, id="a")

    assert verify_causes([started(True)]) == []
    assert kinds(verify_causes([started(False)])) == {Kind.ROOTLESS}


@pytest.mark.parametrize("length", [1, 2, 5, 3000])
def test_a_circle_of_causes_is_found_in_bounded_time(length: int) -> None:
    data = GroupStopped(group="g", node="n", epoch=1, took=0.0)
    circle = [
        sealed(data, id=str(n), incident="0", cause=str((n + 1) % length)) for n in range(length)
    ]
    findings = verify_causes(circle)
    assert kinds(findings) == {Kind.CYCLE}
    assert len(findings) == length


def test_a_long_unbroken_chain_is_verified_without_recursion() -> None:
    data = GroupStopped(group="g", node="n", epoch=1, took=0.0)
    request = OperatorRequest(operator="ana", request="start")
    root = sealed(request, id="0")
    chain = [sealed(data, id=str(n), incident="0", cause=str(n - 1)) for n in range(1, 5000)]
    assert verify_causes([*reversed(chain), root]) == []


def test_missing_causes_incidents_evidence_and_subjects_are_orphans() -> None:
    about = sealed(NotificationSent(channel="c", about="gone", attempts=1), id="a")
    caused = sealed(NodeSeen(node="n", boot="b"), id="b", incident="lost", cause="gone")
    details = [f.detail for f in verify_causes([about, caused]) if f.kind is Kind.ORPHAN]
    assert len(details) == 3
    assert ["event gone" in d for d in details] == [True, False, False]


@pytest.mark.parametrize("dropped", [1, 20, 60])
def test_a_record_that_dropped_its_oldest_events_is_verified_from_there(dropped: int) -> None:
    rest = RECORD[dropped:]
    late = Audit(whole=False)
    for envelope in rest:
        late.add(envelope)
    assert late.report().findings == []
    assert not late.report().whole
    assert kinds(audit(list(rest))) >= {Kind.GAP}


def test_a_record_that_begins_late_still_may_have_no_gap() -> None:
    late = Audit(whole=False)
    lost = CHAIN[-3]
    for envelope in RECORD[20:]:
        if envelope.id != lost.id:
            late.add(envelope)
    assert Kind.GAP in kinds(late.report().findings)


def test_one_id_for_two_events_is_noticed() -> None:
    twin = _rehashed(CHAIN[1], id=CHAIN[0].id)
    assert Kind.SAME_ID in kinds(verify_causes([CHAIN[0], twin]))


def test_every_kind_has_a_cure_and_every_role_a_type() -> None:
    assert set(CURES) == set(Kind)
    names = {kind.split(".")[1] for kind in event_types()}
    assert names >= ACTION_TYPES | ROOT_TYPES
    assert not ACTION_TYPES & ROOT_TYPES


@pytest.mark.parametrize("check", [verify_chains, verify_causes])
def test_an_empty_record_is_sound(check: Callable[[list[Envelope]], list[Finding]]) -> None:
    assert check([]) == []
