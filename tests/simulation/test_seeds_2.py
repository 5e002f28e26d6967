import pytest

from tests.simulation.histories import play_quarter


@pytest.mark.timeout(600)
def test_no_history_breaks_an_invariant_and_every_one_comes_to_rest() -> None:
    play_quarter(1)
