"""One place of a cluster on this machine: start, stop, kill, and what runs there."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.clock import process_start_ticks
from holdfast.console.files import folder, unwritable
from holdfast.console.launcher import agent, session
from holdfast.console.launcher.errors import LaunchError
from holdfast.console.launcher.host import RECORD, SERVICES_FILE, ServiceState

START_TIMEOUT = 20.0
STOP_TIMEOUT = 25.0


class LocalPlace:
    """A host or witness as a session of processes; `on_report` hears what happens to it."""

    def __init__(
        self,
        name: str,
        *,
        config: Path,
        run_dir: Path,
        secrets: Path,
        on_report: Callable[[str], None],
    ) -> None:
        self.name = name
        self.state = run_dir / name
        self._config, self._run_dir, self._secrets = config, run_dir, secrets
        self._on_report = on_report
        self._session: session.Session | None = None
        self._lines: session.Lines | None = None
        self._first: asyncio.Future[str] | None = None

    async def start(self) -> None:
        """Boot it: a new boot id, new processes. Raises LaunchError when it does not come up."""
        if await self.is_on():
            cure = f"nothing to do; `holdfast host kill {self.name}` ends it"
            raise LaunchError("is running already", place=f"place {self.name}", cure=cure)
        log = folder(self.state / "log") / "place.log"
        try:
            self._session, output = self._spawn(log)
        except OSError as error:
            raise unwritable(log, error) from error
        first = self._first = asyncio.get_running_loop().create_future()
        self._lines = session.Lines(output, self._heard)
        self._session.ended.add_done_callback(lambda _: self._ended())
        try:
            async with asyncio.timeout(START_TIMEOUT):
                line = await first
        except TimeoutError:
            line = ""
        if line != "ready":
            raise self._refused(line, log)

    async def stop(self) -> None:
        """End services and bus in order, then whatever else runs there. Raises LaunchError."""
        leader = self._session or self._attach()
        if leader is not None:
            os.kill(leader.pid, signal.SIGTERM)
            await asyncio.wait([leader.ended], timeout=STOP_TIMEOUT)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL for every process of the host, workloads too, as a loss of power would."""
        if (self.state / RECORD).exists():
            await agent.off(self._run_dir, self.name)
        if self._session is not None:
            await asyncio.wait([self._session.ended], timeout=STOP_TIMEOUT)

    async def is_on(self) -> bool:
        """Whether any process of the host lives. Raises LaunchError."""
        return (self.state / RECORD).exists() and await agent.is_on(self._run_dir, self.name)

    def record(self) -> dict[str, str | int]:
        """Its last boot: boot_id, session, leader_start_ticks."""
        record: dict[str, str | int] = json.loads((self.state / RECORD).read_bytes())
        return record

    def services(self) -> dict[str, ServiceState]:
        """What its supervisor said last of each program. Empty before the first start."""
        try:
            raw = (self.state / SERVICES_FILE).read_bytes()
        except FileNotFoundError:
            return {}
        return {one.name: one for one in msgspec.json.decode(raw, type=list[ServiceState])}

    def close(self) -> None:
        """Let it run on its own."""
        for watched in (self._session, self._lines):
            if watched is not None:
                watched.close()
        self._session = self._lines = None

    def _spawn(self, log: Path) -> tuple[session.Session, int]:
        argv = ["-m", "holdfast.console.place", "--config", self._config, "--place", self.name]
        argv += ["--state", self.state, "--secrets", self._secrets]
        return session.start([str(one) for one in argv], log)

    def _attach(self) -> session.Session | None:
        """The session leader of a place that another process started, if it still lives."""
        try:
            record = self.record()
            pid = int(record["session"])
            watched = session.Session(pid)
            if process_start_ticks(pid) == record["leader_start_ticks"]:
                self._session = watched
                return watched
            watched.close()
        except (FileNotFoundError, ProcessLookupError):
            pass
        return None

    def _heard(self, line: str) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(line)
        else:
            self._on_report(f"{self.name}: {line}")

    def _ended(self) -> None:
        self._session = None
        if self._first is not None and not self._first.done():
            self._first.set_result("")
        else:
            self._on_report(f"{self.name}: is off")

    def _refused(self, line: str, log: Path) -> LaunchError:
        if line.startswith("error "):
            told = json.loads(line.removeprefix("error "))
            return LaunchError(told["problem"], place=told["place"], cure=told["cure"])
        return LaunchError("did not start", place=f"place {self.name}", cure=f"see {log}")
