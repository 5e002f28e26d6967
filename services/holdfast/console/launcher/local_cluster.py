"""A whole cluster on this machine, for `holdfast up`, the demonstration and the tests."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from holdfast.bus import Bus
from holdfast.clock import monotonic
from holdfast.config.load import load
from holdfast.console import credentials
from holdfast.console.connection import connect
from holdfast.console.files import write
from holdfast.console.here import CLUSTER_FILE, Here, read_here
from holdfast.console.launcher import preflight
from holdfast.console.launcher.errors import LaunchError
from holdfast.console.launcher.health import healthy
from holdfast.console.launcher.local_place import LocalPlace

POLL = 0.1


class LocalCluster:
    """A cluster file, run on this machine; state, secrets and logs under `state`.

    `on_report` gets a line when a service ends or a place goes off. Use as an async context
    manager, which stops it, or call `start` and `stop`.
    """

    def __init__(
        self, config: Path, state: Path, *, on_report: Callable[[str], None] = lambda _: None
    ) -> None:
        self.config, self.state = config.absolute(), state.absolute()
        self.cluster = load(self.config, verify_files=True)
        self.secrets = self.state / "secrets"
        self.run_dir = self.state / "places"
        self._lock = -1
        self.places = {
            name: LocalPlace(
                name,
                config=self.config,
                run_dir=self.run_dir,
                secrets=self.secrets / name,
                on_report=on_report,
            )
            for name in self.cluster.places()
        }

    @classmethod
    def of(cls, state: Path) -> "LocalCluster":
        """The cluster that was started from a state folder. Raises HoldfastError."""
        return cls(Path(read_here(state).config), state)

    def place(self, name: str) -> LocalPlace:
        """One place. Raises LaunchError."""
        if name not in self.places:
            cure = f"one of: {', '.join(self.places)}"
            raise LaunchError("there is no such place", place=name, cure=cure)
        return self.places[name]

    async def start(self) -> None:
        """Start every place. Raises HoldfastError, and leaves nothing running then."""
        preflight.check_state(self.state)
        cure = "`holdfast down` stops that cluster; or choose another folder with --state"
        self._lock = preflight.lock(self.state / "lock", cure)
        try:
            await self._refuse_second()
            preflight.check_ports(self.cluster)
            preflight.find_nats_server()
            credentials.initialise(self.cluster, self.secrets, tls=False)
            here = Here(config=str(self.config), secrets=str(self.secrets))
            write(self.state / CLUSTER_FILE, msgspec.json.encode(here))
            await self._start_places()
        except BaseException:
            self._unlock()
            raise

    async def ready(self, timeout: float) -> None:
        """Wait until every nats-server is healthy, JetStream included. Raises LaunchError."""
        deadline = monotonic() + timeout
        waiting = dict(self.cluster.places())
        while waiting:
            for name in [name for name, place in waiting.items() if await healthy(place)]:
                del waiting[name]
            if waiting and monotonic() > deadline:
                name = next(iter(waiting))
                log = self.places[name].state / "log" / "nats-server.log"
                problem = f"its nats-server is not healthy after {timeout:.0f} s"
                raise LaunchError(problem, place=f"place {name}", cure=f"see {log}")
            if waiting:
                await asyncio.sleep(POLL)

    async def stop(self) -> None:
        """Orderly end of everything, workloads included. Raises LaunchError if something lives."""
        try:
            results = await asyncio.gather(
                *(place.stop() for place in self.places.values()), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            (self.state / CLUSTER_FILE).unlink(missing_ok=True)
        finally:
            self._unlock()

    def leave(self) -> None:
        """Let the cluster run on its own; `holdfast down` will stop it."""
        for place in self.places.values():
            place.close()
        self._unlock()

    async def connect(self, user: str, *, timeout: float = 10.0) -> Bus:
        """The bus as `operator`, `reader` or `<service>@<place>`. Raises HoldfastError."""
        return await connect(self.cluster, self.secrets, user, timeout=timeout)

    async def __aenter__(self) -> "LocalCluster":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.stop()

    async def _refuse_second(self) -> None:
        running = [
            f"{name} (session {place.record()['session']})"
            for name, place in self.places.items()
            if await place.is_on()
        ]
        if running:
            raise LaunchError(
                f"a cluster runs from this folder already: {', '.join(running)}",
                place=str(self.state),
                cure=f"stop it with `holdfast down --state {self.state}`",
            )

    async def _start_places(self) -> None:
        results = await asyncio.gather(
            *(place.start() for place in self.places.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                await self.stop()
                raise result

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
