"""What the demonstration in containers does when a promise is not kept."""

import json
import subprocess

import pytest

from tests.support.containers import DEMO, ENVIRONMENT, LABEL, ROOT, docker, existing, remove

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]


@pytest.mark.usefixtures("image")
def test_a_promise_not_kept_is_a_failure() -> None:
    """beta dies before alpha does: nobody is left who may take over, and nobody does."""
    remove()
    with subprocess.Popen(
        [*DEMO, "--json"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        assert any("making alpha leader" in line for line in demo.stderr), "it never came so far"
        beta = docker("ps", "-q", "--filter", LABEL, "--filter", "name=beta").split()
        docker("kill", *beta)
        output, _ = demo.communicate(timeout=180)
    report = json.loads(output)
    assert demo.returncode == 1
    assert report["kept"] is False
    assert report["failure"] == "the failover did not happen within 45 s"
    assert existing() == set(), "it cleans up after a failure, too"
