"""Every bug that somebody could make is found by the crash tester."""

import pytest

from tests.simulation.volumes import planted
from tests.simulation.volumes.run import run

SEEDS = 3000


def _breaks(seed: int) -> bool:
    """A core that trips over the bug has found it, too."""
    try:
        return bool(run(seed).violation)
    except (AssertionError, LookupError):
        return True


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: planted.Bug) -> None:
    """The seeds at which it was found before come first, because a search takes its time."""
    before = planted.FOUND_AT.get(bug.__name__, ())
    with bug():
        found = next((s for s in (*before, *range(SEEDS)) if _breaks(s)), None)
    assert found is not None, f"{SEEDS} seeds do not notice: {bug.__doc__}"
