"""The docker engine and Compose, as commands of one project. All timeouts are seconds."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.console.demo.processes import run
from holdfast.errors import HoldfastError

ASK_TIMEOUT = 15.0
MAX_SAID = 15
"""Last lines of a failed command that go into the error."""

Inspected = dict[str, Any]


class EngineError(HoldfastError):
    """The engine is missing, refuses us, or a command of it failed."""


class Engine:
    """The containers of one Compose project."""

    def __init__(self, file: Path, project: str) -> None:
        """Raises EngineError unless an engine and Compose answer."""
        self.project = project
        _ask("docker", "version", "--format", "{{.Server.Version}}")
        self._label = f"label=com.docker.compose.project={project}"
        self._compose = [*_compose_command(), "-f", str(file), "-p", project]

    def leftovers(self) -> str:
        """Containers and volumes of the project that exist already; empty: none."""
        containers = _ask("docker", "ps", "-a", "-q", "--filter", self._label)
        volumes = _ask("docker", "volume", "ls", "-q", "--filter", self._label)
        return f"{containers}{volumes}"

    def restart(self, containers: Sequence[str]) -> None:
        """End them at once and start them again."""
        _ask("docker", "restart", "-t", "0", *containers)

    def says(self, *arguments: str) -> str:
        """A Compose command for people to type."""
        *command, _file_flag, _file, _flag, project = self._compose
        return " ".join([*(Path(part).name for part in command), "-p", project, *arguments])

    async def compose(self, *arguments: str, timeout: float) -> None:
        """Run a Compose command of the project to its end. Raises EngineError."""
        code, said = await run([*self._compose, *arguments], timeout=timeout)
        if code != 0:
            raise _failed([*self._compose, *arguments], said)

    async def docker(self, *arguments: str, timeout: float = ASK_TIMEOUT) -> str:
        """Run a docker command to its end; what it printed. Raises EngineError."""
        code, said = await run(["docker", *arguments], timeout=timeout)
        if code != 0:
            raise _failed(["docker", *arguments], said)
        return said

    async def containers(self) -> dict[str, Inspected]:
        """`docker inspect` of every container of the project, by the name of its service."""
        ids = (await self.docker("ps", "-a", "-q", "--filter", self._label)).split()
        if not ids:
            return {}
        inspected: list[Inspected] = msgspec.json.decode(await self.docker("inspect", *ids))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}


def _compose_command() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            done = subprocess.run([*command, "version"], capture_output=True, timeout=ASK_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return command
    raise EngineError(
        "neither `docker compose` nor `docker-compose` can be run",
        place="docker",
        cure="install the Compose plugin, or docker-compose 1.29",
    )


def _ask(*command: str) -> str:
    """The output of a short command. Raises EngineError with the cure that fits."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_TIMEOUT)
    except FileNotFoundError as error:
        cure = "install Docker, or run `holdfast demo`, which needs no containers"
        raise EngineError("is not installed", place=command[0], cure=cure) from error
    except subprocess.TimeoutExpired as error:
        problem = f"the engine did not answer within {ASK_TIMEOUT:.0f} s"
        raise EngineError(problem, place="docker", cure="restart it") from error
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip()
    if "permission denied" in said:
        cure = "run this as root or as a member of the group that owns the engine's socket"
        raise EngineError("this user may not use the engine", place="docker", cure=cure)
    if "Cannot connect" in said or "error during connect" in said:
        cure = "start the Docker engine (for example `systemctl start docker`)"
        raise EngineError("no engine answers", place="docker", cure=cure)
    raise _failed(list(command), said)


def _failed(command: list[str], said: str) -> EngineError:
    last = "\n".join(said.strip().splitlines()[-MAX_SAID:])
    return EngineError(
        f"the command failed: {last or 'it said nothing'}",
        place=" ".join(command),
        cure="remove what the message names, or free it, and try again",
    )
