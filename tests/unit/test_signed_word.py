"""An operator's signed word: whose it is, and that it is worth nothing anywhere else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from holdfast.events import ChainHead, Draft, Envelope, seal
from holdfast.events.audit import CURES, Audit, Kind
from holdfast.events.system import OperatorRequest
from holdfast.signed_word import LASTS, REGISTER, WordError, operators, sign, text, verify
from holdfast.wire import FenceRequest
from tests.support.cluster_file import write_seed

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A place's secrets folder that knows the operator's public key; the seed lies in `ann`."""
    key = write_seed(tmp_path / "ann", "operator")
    (tmp_path / REGISTER).write_bytes(msgspec.json.encode({"operator": key}))
    return tmp_path


def word(folder: Path, action: str = "confirm") -> FenceRequest:
    return sign(
        folder / "operator.nk",
        cluster="demo",
        action=action,  # type: ignore[arg-type]
        node="alpha",
        boot="boot-1",
        operator="ann",
        now=NOW,
    )


def on_record(request: FenceRequest, /, **altered: str) -> Envelope:
    """The event that a decider makes of it."""
    data = OperatorRequest(
        operator=request.operator,
        request=f"fence {request.action}",
        arguments={"node": request.node, "boot": request.boot, "key": request.key},
        signed=text(request, "demo"),
        signature=request.signature,
    )
    arguments = {k: altered.pop(k, v) for k, v in data.arguments.items()}
    data = msgspec.structs.replace(data, arguments=arguments, **altered)
    draft = Draft(id="e", data=data, entity="node/alpha", incident=None, cause=None)
    return seal(draft, ChainHead(), source="/demo/beta/failover_decider", time="t")[0]


def test_an_operators_word_counts(secrets: Path) -> None:
    verify(word(secrets / "ann"), cluster="demo", secrets=secrets, now=NOW)


@pytest.mark.parametrize(
    "forged",
    [
        {"boot": "boot-2"},
        {"node": "beta"},
        {"action": "allow"},
        {"operator": "bob"},
        {"signature": ""},
        {"signature": "ä"},
        {"signature": "AAAA"},
        {"signed_at": "2026-05-01T12:00:01+00:00"},
    ],
)
def test_a_word_that_was_changed_does_not_count(secrets: Path, forged: dict[str, str]) -> None:
    changed = msgspec.structs.replace(word(secrets / "ann"), **forged)
    with pytest.raises(WordError, match="signature does not fit"):
        verify(changed, cluster="demo", secrets=secrets, now=NOW)


def test_a_word_counts_in_its_cluster_only(secrets: Path) -> None:
    with pytest.raises(WordError, match="signature does not fit"):
        verify(word(secrets / "ann"), cluster="other", secrets=secrets, now=NOW)


def test_another_key_is_not_the_operators(secrets: Path) -> None:
    write_seed(secrets / "bob", "operator")
    with pytest.raises(WordError, match="not the operator's"):
        verify(word(secrets / "bob"), cluster="demo", secrets=secrets, now=NOW)


def test_without_a_register_nobody_is_an_operator(secrets: Path) -> None:
    (secrets / REGISTER).unlink()
    with pytest.raises(WordError, match="operators cannot be known") as refused:
        verify(word(secrets / "ann"), cluster="demo", secrets=secrets, now=NOW)
    assert "holdfast init" in refused.value.cure


def test_without_a_seed_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(WordError, match="cannot sign"):
        word(tmp_path)


@pytest.mark.parametrize("seconds", [-LASTS, -1.0, 0.0, LASTS])
def test_a_word_counts_for_some_minutes(secrets: Path, seconds: float) -> None:
    heard = NOW + timedelta(seconds=seconds)
    verify(word(secrets / "ann"), cluster="demo", secrets=secrets, now=heard)


@pytest.mark.parametrize("seconds", [-86_400.0, -LASTS - 1, LASTS + 1, 86_400.0])
def test_a_word_of_another_time_does_not_count(secrets: Path, seconds: float) -> None:
    heard = NOW + timedelta(seconds=seconds)
    with pytest.raises(WordError, match="does not count any more") as refused:
        verify(word(secrets / "ann"), cluster="demo", secrets=secrets, now=heard)
    assert "set the clocks" in refused.value.cure


@pytest.mark.parametrize("at", ["", "yesterday", "2026-05-01T12:00:00"])
def test_a_word_without_a_time_does_not_count(
    secrets: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = msgspec.structs.replace(word(secrets / "ann"), signed_at=at)
    monkeypatch.setattr("holdfast.signed_word.fits", lambda *_, **__: True)
    with pytest.raises(WordError, match="does not count any more"):
        verify(request, cluster="demo", secrets=secrets, now=NOW)


def test_the_record_proves_a_word(secrets: Path) -> None:
    known = operators(secrets / REGISTER)
    audit = Audit(operators=known)
    audit.add(on_record(word(secrets / "ann")))
    report = audit.report()
    assert report.passed, report.findings
    assert (report.words, report.operators_known) == (1, True)
    elsewhere = Audit()
    elsewhere.add(on_record(word(secrets / "ann")))
    assert (elsewhere.report().words, elsewhere.report().operators_known) == (1, False)


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        ({"signature": ""}, "no signature"),
        ({"signature": "AAAA"}, "signature is not by"),
        ({"signed": "[]"}, "signature is not by"),
        ({"key": "x"}, "signature is not by"),
        ({"node": "beta"}, "not what the event says"),
        ({"boot": "boot-2"}, "not what the event says"),
        ({"operator": "bob"}, "not what the event says"),
        ({"request": "fence allow"}, "not what the event says"),
        ({"request": "fence x"}, "not what the event says"),
    ],
)
def test_the_audit_finds_a_word_that_nobody_gave(
    secrets: Path, altered: dict[str, str], why: str
) -> None:
    audit = Audit(operators=operators(secrets / REGISTER))
    audit.add(on_record(word(secrets / "ann"), **altered))
    (finding,) = audit.report().findings
    assert finding.kind is Kind.UNPROVEN_WORD
    assert why in finding.detail
    assert CURES[finding.kind]
    assert audit.report().words == 0


def test_the_audit_knows_former_operators_and_nobody_else(secrets: Path) -> None:
    former = write_seed(secrets / "bob", "operator")
    envelope = on_record(word(secrets / "bob"))
    audit = Audit(operators=operators(secrets / REGISTER))
    audit.add(envelope)
    assert "no operator's key" in audit.report().findings[0].detail
    register = {"operator": "other", "operator-2025": former, "reader": "r"}
    (secrets / REGISTER).write_bytes(msgspec.json.encode(register))
    assert operators(secrets / REGISTER) == frozenset({"other", former})
    audit = Audit(operators=operators(secrets / REGISTER))
    audit.add(envelope)
    assert audit.report().passed
    assert operators(secrets / "none") is None
