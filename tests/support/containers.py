"""The demonstration in containers, as a project of its own that tests may remove at any time."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "holdfast-test"
LABEL = f"label=com.docker.compose.project={PROJECT}"
DEMO = [sys.executable, "-m", "holdfast.console", "demo", "--compose"]
ENVIRONMENT = {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, "COLUMNS": "120"}
DOCKER_TIMEOUT = 60


def docker(*arguments: str, timeout: float = DOCKER_TIMEOUT) -> str:
    """Run docker; its standard output and error. Fails the test if docker fails."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}"
    return done.stdout


def remove() -> None:
    """Remove the project, whatever is left of it."""
    for kind, remover in (("ps", "rm"), ("network", "network"), ("volume", "volume")):
        listing = ["ps", "-a"] if kind == "ps" else [kind, "ls"]
        found = docker(*listing, "-q", "--filter", LABEL).split()
        if found and kind == "ps":
            docker(remover, "--force", "--volumes", *found)
        elif found:
            docker(remover, "rm", *found)


def existing() -> set[str]:
    """Ids of the project's containers."""
    return set(docker("ps", "-a", "-q", "--filter", LABEL).split())
