"""From observations to signals: damping, incidents, instances, the pulse."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events import Draft
from holdfast.events.fields import Health, Layer
from holdfast.events.health import HealthSignal
from holdfast.monitor import core
from holdfast.monitor.observation import Observation, Subject
from holdfast.wire import MAX_MESSAGE_BYTES, MonitorPulse

OK, DEGRADED, FAILED, UNKNOWN = Health.OK, Health.DEGRADED, Health.FAILED, Health.UNKNOWN


class Run:
    """A core being fed, with the drafts it gave."""

    def __init__(self) -> None:
        self.state = core.State(observer="alpha")
        self.drafts: list[Draft] = []
        self._ids = (f"id-{n}" for n in itertools.count(1))

    def see(
        self,
        state: Health,
        *,
        at: float = 0.0,
        probe: str = "http",
        entity: str = "resource/g/r",
        instance: str = "1:1",
        failures: int = 1,
        hold: float = 0.0,
    ) -> Draft | None:
        seen = Observation(
            subject=Subject(
                entity=entity,
                node="alpha",
                layer=Layer.APPLICATION,
                probe=probe,
                instance=instance,
            ),
            state=state,
            reason=f"{probe} {state}",
            failures=failures,
            hold=hold,
        )
        self.state, drafts = core.observe(self.state, seen, at, self._ids.__next__)
        self.drafts.extend(drafts)
        return drafts[0] if drafts else None

    @property
    def pulse(self) -> list[tuple[str, Health]]:
        return [(signal.probe, signal.state) for signal in core.pulse_signals(self.state)]


def health(draft: Draft | None) -> HealthSignal:
    assert draft is not None
    assert isinstance(draft.data, HealthSignal)
    return draft.data


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


LOOKS = st.lists(
    st.tuples(
        st.sampled_from(list(Health)),
        st.floats(min_value=0.01, max_value=10, allow_nan=False),
    ),
    max_size=60,
)


@given(looks=LOOKS, failures=st.integers(1, 4), hold=st.sampled_from([0.0, 1.0, 6.0]))
def test_damping(looks: list[tuple[Health, float]], failures: int, hold: float) -> None:
    run = Run()
    now, changes = 0.0, []
    recent: list[Health] = []
    for state, pause in looks:
        now += pause
        recent.append(state)
        draft = run.see(state, at=now, failures=failures, hold=hold)
        if draft is not None:
            changes.append((now, health(draft)))
            if state is not OK:
                assert len(recent) >= failures
            if len(changes) > 1 and state is not OK:
                assert health(draft).previous not in recent[-failures:]
    for (before, first), (after, second) in itertools.pairwise(changes):
        assert after - before >= hold
        assert second.previous is first.state
        assert second.state is not first.state
    in_force = changes[-1][1].state if changes else OK
    assert run.pulse == ([] if in_force is OK else [("http", in_force)])


@given(looks=LOOKS, failures=st.integers(1, 4))
def test_a_lasting_state_always_counts_in_the_end(
    looks: list[tuple[Health, float]], failures: int
) -> None:
    run = Run()
    now = 0.0
    for state, pause in looks:
        now += pause
        run.see(state, at=now, failures=failures, hold=2.0)
    for last in (FAILED, OK):
        for _ in range(8):
            now += 1.0
            run.see(last, at=now, failures=failures, hold=2.0)
        assert run.pulse == ([("http", FAILED)] if last is FAILED else [])


@given(
    looks=st.lists(
        st.tuples(st.sampled_from(list(Health)), st.sampled_from(["process", "http", "tcp"])),
        max_size=60,
    )
)
def test_every_signal_is_rooted_in_its_incident(looks: list[tuple[Health, str]]) -> None:
    run = Run()
    for now, (state, probe) in enumerate(looks):
        run.see(state, at=float(now), probe=probe)
    incident_of: dict[str, str] = {}
    for draft in run.drafts:
        if draft.cause is None:
            assert draft.incident is None
            assert health(draft).state is not OK
        else:
            assert incident_of[draft.cause] == draft.incident
        incident_of[draft.id] = draft.correlation


@pytest.mark.parametrize("length", [1, 5000])
def test_long_reasons_are_cut(length: int) -> None:
    subject = Subject(entity="node/a", node="a", layer=Layer.HOST_OS, probe="p")
    seen = subject.seen(FAILED, "x" * length)
    state, drafts = core.observe(core.State(observer="a"), seen, 0.0, lambda: "id")
    assert len(health(drafts[0]).reason) == min(length, core.MAX_REASON)
    assert core.pulse_signals(state)[0].reason == health(drafts[0]).reason
