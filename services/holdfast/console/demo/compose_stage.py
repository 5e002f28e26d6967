"""The stage of compose.yaml: a host is several containers, and the engine kills them."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

from holdfast.console.demo.engine import Engine, EngineError, Inspected
from holdfast.console.demo.failure import DemoFailed
from holdfast.errors import HoldfastError

FILE = Path("compose.yaml")
DEFAULT_PROJECT = "holdfast-demo"
SETUP, CONSOLE = "setup", "console"
URLS = ("http://alpha:8080", "http://beta:8080")

UP_TIMEOUT = 900.0
"""Images may have to be pulled and built first."""
READY_TIMEOUT = 90.0
DOWN_TIMEOUT = 120.0
KILL_TIMEOUT = 10.0
START_TIMEOUT = 30.0
STOP_GRACE = 3
POLL = 0.5
LOG_LINES = 5


class ComposeStage:
    """The project $COMPOSE_PROJECT_NAME, else `holdfast-demo`, of the compose.yaml here."""

    def __init__(self) -> None:
        """Raises HoldfastError if it cannot work here, or if the project exists already."""
        if not FILE.is_file():
            raise HoldfastError(
                "no compose.yaml here",
                place=str(Path.cwd()),
                cure="run it in a checkout of Holdfast, or without --compose",
            )
        project = os.environ.get("COMPOSE_PROJECT_NAME") or DEFAULT_PROJECT
        self._engine = Engine(FILE.absolute(), project)
        self._containers: dict[str, str] = {}
        if self._engine.leftovers():
            raise HoldfastError(
                "a demonstration was left running, or volumes of it are left",
                place=f"the containers and volumes of {project}",
                cure=f"remove them with `{self._engine.says('down', '--volumes')}`",
            )
        inside = self._engine.says("exec", CONSOLE, "holdfast")
        self.ideas = [
            f"{inside} status --watch",
            f"{inside} events --follow",
            f"{inside} why",
            self._engine.says("kill", *_of_host("beta")),
            self._engine.says("up", "--detach"),
            self._engine.says("down", "--volumes"),
        ]

    async def start(self) -> None:
        """Bring everything up. Raises HoldfastError unless all of it is healthy in time."""
        await self._engine.compose("up", "--detach", timeout=UP_TIMEOUT)
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            # Compose's own `service_healthy` also passes for what has ended since.
            found = await self._engine.containers()
            bad = {name: why for name, one in found.items() if (why := _not_ready(name, one))}
            if found and not bad:
                break
            if time.monotonic() > deadline:
                raise await self._never_ready(bad)
            await asyncio.sleep(POLL)
        self._containers = {name: one["Id"] for name, one in found.items()}

    async def stop(self) -> None:
        """Remove containers, volumes and the network."""
        down = ["down", "--volumes", "--timeout", str(STOP_GRACE)]
        await self._engine.compose(*down, timeout=DOWN_TIMEOUT)

    def leave(self) -> None:
        """Let it run on, without the commands of this demonstration that still run in it."""
        if CONSOLE in self._containers:
            self._engine.restart([self._containers[CONSOLE]])

    def holdfast(self, *arguments: str) -> list[str]:
        """The command that runs `holdfast` in the operator's container."""
        console = self._containers[CONSOLE]
        return ["docker", "exec", console, "python", "-m", "holdfast.console", *arguments]

    def observer(self) -> list[str]:
        """The command that runs the ledger's client in the operator's container."""
        urls = [word for url in URLS for word in ("--url", url)]
        program = ["python", "-m", "holdfast.ledger.client", "--until-stdin-closes", "--json"]
        return ["docker", "exec", "--interactive", self._containers[CONSOLE], *program, *urls]

    async def kill_ledger(self, pid: int) -> None:
        """SIGKILL; `pid` is one of alpha's PID namespace. Raises HoldfastError."""
        kill = ["sh", "-c", 'kill -KILL "$1"', "sh", str(pid)]
        await self._engine.docker("exec", self._containers["alpha"], *kill)

    async def kill_host(self, name: str) -> None:
        """All containers of the host at once. Raises DemoFailed if one lives on."""
        ids = self._ids(name)
        with contextlib.suppress(EngineError):  # some end by themselves when their owner does
            await self._engine.docker("kill", *ids)
        await self._engine.docker("wait", *ids, timeout=KILL_TIMEOUT)
        found = await self._engine.containers()
        if alive := [one for one in _of_host(name) if found[one]["State"]["Running"]]:
            raise DemoFailed(f"{', '.join(alive)} could not be killed")

    async def start_host(self, name: str) -> None:
        """The containers again; first the one whose namespaces the others join."""
        bus, owner, *others = self._ids(name)
        await self._engine.docker("start", bus, owner, timeout=START_TIMEOUT)
        await self._engine.docker("start", *others, timeout=START_TIMEOUT)

    def _ids(self, host: str) -> list[str]:
        return [self._containers[service] for service in _of_host(host)]

    async def _never_ready(self, bad: dict[str, str]) -> HoldfastError:
        service = next(iter(bad), "")
        logs = ""
        if service:
            container = (await self._engine.containers())[service]["Id"]
            logs = await self._engine.docker("logs", "--tail", str(LOG_LINES), container)
        states = ", ".join(f"{name} {why}" for name, why in bad.items()) or "nothing was started"
        return HoldfastError(
            f"not healthy within {READY_TIMEOUT:.0f} s: {states}; {service} said last: {logs}",
            place=f"the containers of {self._engine.project}",
            cure="a busy machine may need a second try; else the log above says what is wrong",
        )


def _of_host(host: str) -> tuple[str, ...]:
    """The services of a host; the second owns the namespaces that those after it join."""
    return (f"nats-{host}", host, f"{host}-monitor", f"{host}-storage", f"{host}-decider")


def _not_ready(service: str, container: Inspected) -> str:
    """Why a container is not as it should be; empty: it is. Pure."""
    state = container["State"]
    if service == SETUP:
        done = state["Status"] == "exited" and state["ExitCode"] == 0
        return "" if done else f"{state['Status']} ({state['ExitCode']})"
    health = state.get("Health", {}).get("Status", "healthy")
    if state["Status"] != "running":
        return f"is {state['Status']}"
    return "" if health == "healthy" else f"is {health}"
