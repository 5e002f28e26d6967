"""Every bug that somebody could make is found by the simulator, within the ordinary seeds."""

import pytest

from tests.simulation import planted, planted_policies
from tests.simulation.histories import SEEDS
from tests.simulation.simulator.run import run

BUGS = [*planted.BUGS, *planted_policies.BUGS]


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "bug", [*planted.BUGS, *planted_policies.BUGS], ids=lambda bug: bug.__name__
)
def test_a_planted_bug_is_found(bug: planted.Bug) -> None:
    """The seeds at which it was found before come first, because a search takes its time."""
    found_at = planted.FOUND_AT | planted_policies.FOUND_AT
    before = found_at.get(bug.__name__, ())
    with bug():
        found = next((s for s in (*before, *range(SEEDS)) if run(s).violation), None)
    assert found is not None, f"{SEEDS} seeds do not notice: {bug.__doc__}"
