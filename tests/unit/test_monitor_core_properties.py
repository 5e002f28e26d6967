"""What holds for every sequence of observations."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from holdfast.events.fields import Health
from tests.support.monitor_core import FAILED, OK, Run, health

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
