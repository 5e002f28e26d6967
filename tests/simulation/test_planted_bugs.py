"""Every bug that somebody could make is found by the simulator, within the ordinary seeds."""

import pytest

from tests.simulation import planted, planted_copies, planted_news, planted_policies
from tests.simulation.histories import SEEDS
from tests.simulation.simulator.notifying.scene import notified
from tests.simulation.simulator.run import run
from tests.simulation.simulator.storage.drawn import has_volumes

OF_COPIES, OF_NEWS = set(planted_copies.BUGS), set(planted_news.BUGS)
BUGS = [*planted.BUGS, *planted_policies.BUGS, *planted_copies.BUGS, *planted_news.BUGS]


def any_seed(_seed: int) -> bool:
    """Every seed will do."""
    return True


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: planted.Bug) -> None:
    """The seeds at which it was found before come first, because a search takes its time."""
    found_at = planted.FOUND_AT | planted_policies.FOUND_AT | planted_copies.FOUND_AT
    before = found_at.get(bug.__name__, ())
    # The others have nothing in which it could show.
    of = has_volumes if bug in OF_COPIES else notified if bug in OF_NEWS else any_seed
    seeds = filter(of, range(SEEDS))
    with bug():
        found = next((s for s in (*before, *seeds) if run(s).violation), None)
    assert found is not None, f"{SEEDS} seeds do not notice: {bug.__doc__}"
