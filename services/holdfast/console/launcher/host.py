"""One place as a set of processes: its record, its bus, its services, until it is told to stop."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec

from holdfast.clock import monotonic, process_start_ticks
from holdfast.config.model import ClusterFile
from holdfast.console import credentials
from holdfast.console.bus_config import ROUTES_FILE, render, render_routes
from holdfast.console.files import folder, unwritable, write
from holdfast.console.launcher.beats import Beats
from holdfast.console.launcher.bus_care import hear, tend
from holdfast.console.launcher.children import Child, Children, bound
from holdfast.console.launcher.preflight import find_nats_server
from holdfast.console.launcher.programs import BUS, programs
from holdfast.console.launcher.supervision import GiveUp, Program, after_exit, describe_exit
from holdfast.errors import HoldfastError
from holdfast.heartbeat import ADDRESS
from holdfast.standstill import LOOK_EVERY
from holdfast.timing import PROFILES

RECORD = "host.json"
SERVICES_FILE = "services.json"
SERVICES_STOP = 8.0
BUS_STOP = 8.0
LOG_CHECK_EVERY = 30.0


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """One program of a place. `pid` 0: not running; `reason`: why not, or how it ended last."""

    name: str
    pid: int
    starts: int
    gave_up: bool = False
    reason: str = ""


class Host:
    """Supervises the programs of one place. Must lead a session of its own."""

    def __init__(
        self,
        cluster: ClusterFile,
        place: str,
        *,
        config: Path,
        state: Path,
        secrets: Path,
        report: Callable[[str], None],
    ) -> None:
        self._cluster, self._place = cluster, place
        self._config, self._state, self._secrets = config, state, secrets
        self._report = report
        self._children = Children()
        self._beats = Beats(PROFILES[cluster.cluster.profile].frozen_after)
        self._running: dict[str, Child] = {}
        self._states: dict[str, ServiceState] = {}
        self._stopping = asyncio.Event()
        self._boot = str(uuid4())

    def stop(self) -> None:
        """Ask for an orderly end; workloads are left running."""
        self._stopping.set()

    async def run(self) -> None:
        """Start everything, keep it running until `stop`, then stop services and bus in order.

        Raises HoldfastError when the place cannot be prepared; nothing was started then.
        """
        wanted = self._prepare()
        keepers = [asyncio.create_task(self._keep(program)) for program in wanted]
        place, store = self._cluster.places()[self._place], self._state / "nats"
        caring = [
            asyncio.create_task(tend(place, store, self._bus_pid, self._restart_bus)),
            asyncio.create_task(hear(place, lambda: self._beats.heard(self._bus_pid()))),
            asyncio.create_task(self._kill_frozen()),
        ]
        self._report("ready")
        try:
            while not self._stopping.is_set():
                await self._pause(LOG_CHECK_EVERY)
                self._bound_logs(wanted)
        finally:
            for care in caring:
                care.cancel()
            names = [program.name for program in wanted if program.name != BUS]
            await self._end(names, SERVICES_STOP)
            await self._end([BUS], BUS_STOP)
            await asyncio.wait([*keepers, *caring], timeout=SERVICES_STOP)
            self._beats.close()

    def _prepare(self) -> list[Program]:
        bus_folder = folder(self._state / "nats")
        folder(self._state / "log")
        tls = credentials.server_tls(self._secrets)
        keys = credentials.read_register(self._secrets)
        token = credentials.read_route_token(self._secrets)
        store = str((bus_folder / "jetstream").absolute())
        config = bus_folder / "nats.conf"
        write(config, render(self._cluster, self._place, keys, store=store, tls=tls))
        routes = render_routes(self._cluster, self._place, token, tls=tls)
        write(bus_folder / ROUTES_FILE, routes)
        wanted = programs(
            self._cluster, self._place, nats_server=find_nats_server(), bus_config=config
        )
        self._write_record()
        return wanted

    def _write_record(self) -> None:
        """What the fence agent needs to kill this boot and no other."""
        record = {
            "boot_id": self._boot,
            "session": os.getsid(0),
            "leader_start_ticks": process_start_ticks(os.getpid()),
        }
        write(self._state / RECORD, json.dumps(record))

    async def _keep(self, program: Program) -> None:
        failures = starts = 0
        while not self._stopping.is_set():
            starts += 1
            began = monotonic()
            try:
                child = self._children.spawn(
                    program.argv, self._environment(), self._log(program.name)
                )
            except OSError as error:
                self._set(program, starts, reason=f"cannot be started: {error}")
                code = 1
            else:
                self._running[program.name] = child
                self._beats.expect(child.pid)
                self._set(program, starts, pid=child.pid)
                code = await child.ended
                self._beats.forget(child.pid)
                self._set(program, starts, reason=describe_exit(code))
            if self._stopping.is_set():
                return
            verdict = after_exit(program, code, ran=monotonic() - began, failures=failures)
            if isinstance(verdict, GiveUp):
                self._set(program, starts, reason=verdict.reason, gave_up=True)
                self._report(f"{program.name} is not restarted: {verdict.reason}")
                return
            self._report(f"{program.name} {self._states[program.name].reason}; starting it again")
            failures = verdict.failures
            await self._pause(verdict.after)

    def _restart_bus(self, reason: str) -> None:
        self._report(f"{BUS} is restarted: {reason}")
        if BUS in self._running:
            self._running[BUS].send(signal.SIGTERM)

    def _bus_pid(self) -> int:
        return self._running[BUS].pid if BUS in self._running else 0

    async def _kill_frozen(self) -> None:
        """What stands still is killed; then it has ended like any other, and is started again."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for pid in self._beats.still(monotonic()):
                self._beats.forget(pid)
                for name, child in self._running.items():
                    if child.pid == pid:
                        self._report(f"{name} stands still: it is killed")
                        child.send(signal.SIGKILL)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _end(self, names: list[str], timeout: float) -> None:
        children = [self._running[name] for name in names if name in self._running]
        for child in children:
            child.send(signal.SIGTERM)
        if children:
            _, left = await asyncio.wait([child.ended for child in children], timeout=timeout)
            for child in children:
                if child.ended in left:
                    child.send(signal.SIGKILL)

    def _set(
        self,
        program: Program,
        starts: int,
        *,
        pid: int = 0,
        reason: str = "",
        gave_up: bool = False,
    ) -> None:
        self._states[program.name] = ServiceState(
            name=program.name, pid=pid, starts=starts, reason=reason, gave_up=gave_up
        )
        try:
            write(self._state / SERVICES_FILE, msgspec.json.encode(list(self._states.values())))
        except HoldfastError as error:  # the file informs people; services go on without it
            self._report(str(error))

    def _bound_logs(self, wanted: list[Program]) -> None:
        for program in wanted:
            try:
                bound(self._log(program.name))
            except OSError as error:
                self._report(str(unwritable(self._log(program.name), error)))

    def _log(self, name: str) -> Path:
        return self._state / "log" / f"{name}.log"

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            ADDRESS: self._beats.address,
            "HOLDFAST_BOOT_ID": self._boot,
            "HOLDFAST_CONFIG": str(self._config),
            "HOLDFAST_PLACE": self._place,
            "HOLDFAST_STATE": str(self._state),
            "HOLDFAST_SECRETS": str(self._secrets),
        }
