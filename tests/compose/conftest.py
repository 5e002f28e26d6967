"""A demonstration in containers, played once for a module and left running for it to look at."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.containers import (
    DEMO,
    DOCKER_TIMEOUT,
    ENVIRONMENT,
    ROOT,
    docker,
    existing,
    remove,
)

BUILD_TIMEOUT = 900
DEMO_TIMEOUT = 240


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this source. Skips without an engine, which CI must have."""
    try:
        subprocess.run(
            ["docker", "version"], capture_output=True, timeout=DOCKER_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no docker engine answers: {error}")
    docker("build", "--quiet", "--tag", "holdfast:dev", str(ROOT), timeout=BUILD_TIMEOUT)
    return "holdfast:dev"


@pytest.fixture(scope="module")
def outcome(image: str) -> Iterator[dict[str, Any]]:
    """What `holdfast demo --compose --json --keep` says; its cluster runs on meanwhile."""
    remove()
    try:
        done = subprocess.run(
            [*DEMO, "--json", "--keep"],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=DEMO_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        yield json.loads(done.stdout)
    finally:
        remove()


@pytest.fixture(scope="module")
def containers(outcome: dict[str, Any]) -> dict[str, Any]:
    """`docker inspect` of every container that the demonstration left, by service."""
    inspected = json.loads(docker("inspect", *existing()))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}
