"""The model of the leases: a small proof, and a few of the bugs that it must find.

All of it is `make model`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent / "model" / "run"
WITHIN = 100.0

needs_spin = pytest.mark.skipif(
    not os.environ.get("CI") and not (shutil.which("spin") and shutil.which("gcc")),
    reason="needs spin and gcc (Debian packages of these names)",
)


@needs_spin
def test_small_configurations_hold_and_planted_bugs_are_found() -> None:
    names = ["network5", "takeover", "margin", "abstention", "learn-either"]
    done = subprocess.run(
        [RUN, *names],
        env={**os.environ, "OPTIMISE": "-O0"},  # gcc is what takes time here, not the search
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        assert f"{name} " in done.stdout
    assert "holds in every state" in done.stdout
    assert done.stdout.count("found, as it must be") == len(names) - 1


@needs_spin
def test_a_configuration_that_does_not_exist_is_an_error() -> None:
    done = subprocess.run([RUN, "nothing"], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert "nothing" in done.stderr
