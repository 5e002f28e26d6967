"""From observations to signals: incidents, instances, the pulse."""

import msgspec
import pytest

from holdfast.events.fields import Layer
from holdfast.monitor import core
from holdfast.monitor.observation import Subject
from holdfast.wire import MAX_MESSAGE_BYTES, MonitorPulse
from tests.support.monitor_core import DEGRADED, FAILED, OK, UNKNOWN, Run, health


def test_a_first_good_look_is_no_news() -> None:
    run = Run()
    assert run.see(OK) is None
    assert run.pulse == []


def test_a_process_death_is_a_signal_at_once() -> None:
    run = Run()
    run.see(OK, probe="process")
    draft = run.see(FAILED, probe="process", at=2.0)
    assert health(draft).state is FAILED
    assert health(draft).previous is OK
    assert health(draft).observer == "alpha"
    assert draft is not None
    assert draft.incident is None
    assert draft.correlation == draft.id
    (summary,) = core.pulse_signals(run.state)
    assert (summary.event, summary.incident, summary.since) == (draft.id, draft.id, 2.0)


def test_what_is_bad_at_first_sight_says_that_nothing_was_known_before() -> None:
    assert health(Run().see(FAILED)).previous is UNKNOWN


def test_failures_count_only_in_a_row() -> None:
    run = Run()
    for state in (OK, FAILED, FAILED, OK, FAILED, FAILED):
        assert run.see(state, failures=3) is None
    assert health(run.see(FAILED, failures=3)).state is FAILED


def test_one_good_look_ends_the_incident() -> None:
    run = Run()
    failed = run.see(FAILED)
    recovered = run.see(OK, failures=3)
    assert failed is not None
    assert recovered is not None
    assert health(recovered).state is OK
    assert (recovered.incident, recovered.cause) == (failed.id, failed.id)
    assert run.pulse == []
    assert run.see(OK) is None


def test_a_second_probe_joins_the_incident_of_the_entity() -> None:
    run = Run()
    first = run.see(FAILED, probe="process", at=1.0)
    second = run.see(FAILED, probe="http", at=2.0)
    third = run.see(FAILED, probe="tcp", at=3.0)
    other = run.see(FAILED, entity="resource/g/other", at=3.0)
    assert first is not None
    for draft in (second, third):
        assert draft is not None
        assert (draft.incident, draft.cause) == (first.id, first.id)
    assert other is not None
    assert other.incident is None
    assert [probe for probe, _ in run.pulse] == ["process", "http", "tcp", "http"]


def test_the_next_failure_after_recovery_is_a_new_incident() -> None:
    run = Run()
    run.see(FAILED)
    run.see(OK)
    again = run.see(FAILED)
    assert again is not None
    assert again.incident is None
    assert again.cause is None


def test_getting_worse_stays_in_the_incident() -> None:
    run = Run()
    first = run.see(DEGRADED)
    worse = run.see(FAILED)
    assert first is not None
    assert worse is not None
    assert (worse.incident, worse.cause) == (first.id, first.id)
    assert run.pulse == [("http", FAILED)]


def test_nothing_joins_a_probe_that_is_merely_blind() -> None:
    run = Run()
    run.see(UNKNOWN, probe="pressure-cpu")
    failed = run.see(FAILED, probe="disk")
    assert failed is not None
    assert failed.incident is None


def test_a_new_instance_has_a_clean_sheet_and_ends_the_incident_of_the_old() -> None:
    run = Run()
    failed = run.see(FAILED, instance="1:1")
    run.state = core.reset(run.state, "resource/g/r", "2:2")
    assert run.pulse == []
    assert run.see(FAILED, instance="2:2", failures=2) is None
    recovered = run.see(OK, instance="2:2")
    assert failed is not None
    assert recovered is not None
    assert (recovered.incident, recovered.cause) == (failed.id, failed.id)
    assert health(recovered).instance == "2:2"


def test_the_failure_of_a_new_instance_is_an_incident_of_its_own() -> None:
    run = Run()
    run.see(FAILED, instance="1:1", probe="process")
    run.see(FAILED, instance="1:1", probe="http")
    again = run.see(FAILED, instance="2:2", probe="process")
    assert again is not None
    assert again.incident is None
    assert health(again).previous is UNKNOWN


def test_what_is_forgotten_is_not_pulsed() -> None:
    run = Run()
    run.see(FAILED)
    run.see(FAILED, entity="node/alpha", instance="")
    run.state = core.forget(run.state, "resource/g/r")
    assert [signal.entity for signal in core.pulse_signals(run.state)] == ["node/alpha"]


def test_a_pulse_shows_the_worst_first_and_fits_a_message() -> None:
    run = Run()
    for number in range(100):
        state = (UNKNOWN, DEGRADED, FAILED)[number % 3]
        run.see(state, entity=f"resource/{'g' * 64}/{number:064d}", probe="é" * 90, at=number)
    signals = core.pulse_signals(run.state)
    assert len(signals) <= core.MAX_PULSE_SIGNALS
    assert [signal.state for signal in signals[:34]] == [FAILED] * 33 + [DEGRADED]
    pulse = MonitorPulse(node="alpha", boot="b", now=1.0, signals=signals)
    assert len(msgspec.json.encode(pulse)) < MAX_MESSAGE_BYTES
    assert msgspec.json.decode(msgspec.json.encode(pulse), type=MonitorPulse) == pulse


@pytest.mark.parametrize("length", [1, 5000])
def test_long_reasons_are_cut(length: int) -> None:
    subject = Subject(entity="node/a", node="a", layer=Layer.HOST_OS, probe="p")
    seen = subject.seen(FAILED, "x" * length)
    state, drafts = core.observe(core.State(observer="a"), seen, 0.0, lambda: "id")
    assert len(health(drafts[0]).reason) == min(length, core.MAX_REASON)
    assert core.pulse_signals(state)[0].reason == health(drafts[0]).reason
