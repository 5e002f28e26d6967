"""Every bug that somebody could make is found by the simulator, within the ordinary seeds."""

import pytest

from tests.simulation import planted
from tests.simulation.histories import SEEDS
from tests.simulation.simulator.run import run


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: planted.Bug) -> None:
    """The seeds at which it was found before come first, because a search takes its time."""
    before = planted.FOUND_AT.get(bug.__name__, ())
    with bug():
        found = next((s for s in (*before, *range(SEEDS)) if run(s).violation), None)
    assert found is not None, f"{SEEDS} seeds do not notice: {bug.__doc__}"
