"""Running a service: arguments, one instance, the bus, signals, orderly stop, exit codes."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from holdfast import clock, ids
from holdfast.arguments import Settings, arguments, log_to_stderr
from holdfast.bus import Bus
from holdfast.config import ClusterFile
from holdfast.config.load import load
from holdfast.credentials import bus_of, path_of
from holdfast.errors import HoldfastError
from holdfast.events import Draft, EventData
from holdfast.events.fields import service_entity
from holdfast.events.system import (
    MessageRejected,
    ServiceStarted,
    ServiceStopped,
    SpoolSetAside,
)
from holdfast.heartbeat import Heartbeat
from holdfast.outbox import Outbox
from holdfast.paths import Paths
from holdfast.rejects import Rejects
from holdfast.spool import SpoolError
from holdfast.state_folder import ALIVE, StateFolder
from holdfast.stopping import end, unless_stopping, until_stopped
from holdfast.timing import PROFILES, Timing

STOP_DEADLINE = 8.0
FLUSH_DEADLINE = 2.0
ALIVE_EVERY = 1.0
if TYPE_CHECKING:
    from holdfast.otlp import Telemetry

_log = logging.getLogger("holdfast.service")

Main = Callable[["Runtime"], Awaitable[None]]


class Runtime:
    """What every service's `main` is given."""

    def __init__(self, settings: Settings, cluster: ClusterFile, folder: StateFolder) -> None:
        self.cluster = cluster
        self.place = settings.place
        self.service = settings.service
        self.boot = clock.boot_id()
        self.state = folder.path
        self.secrets = settings.secrets
        self.timing: Timing = PROFILES[cluster.cluster.profile]
        self.stopping = asyncio.Event()
        self.bus: Bus = bus_of(cluster, self.place, self.service, settings.secrets)
        self.paths = Paths(
            self.bus,
            cluster,
            self.place,
            lambda to, network: path_of(
                cluster, self.place, self.service, settings.secrets, to=to, network=network
            ),
        )
        """The networks beside the bus; a service that needs them calls `paths.start`."""
        self.telemetry = _telemetry_of(cluster, self.place, self.service)
        """None: no collector is configured."""
        self.outbox = Outbox(
            self.state / "spool",
            source=f"/{cluster.cluster.name}/{self.place}/{self.service}",
            bus=self.bus,
            observe=self.telemetry.record if self.telemetry else None,
        )
        if self.telemetry:
            self.telemetry.gauge("holdfast.spool.depth", "{event}", lambda: self.outbox.depth)
        self.rejects = Rejects(self._report)
        self.bus.reject = self.rejects.reject
        self.bus.on_fault = self.fail
        self.failure: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def emit(
        self,
        data: EventData,
        *,
        entity: str,
        incident: str | None = None,
        cause: str | None = None,
        id: str | None = None,
    ) -> str:
        """Record an event; returns its id. On disk when it returns. Raises SpoolFull, SpoolError.

        Without `incident` the event begins one.
        """
        draft = Draft(
            id=id or ids.uuid7(), data=data, entity=entity, incident=incident, cause=cause
        )
        return self.outbox.emit(draft).id

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside main. If it raises, the service stops with exit code 1."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def fail(self, error: BaseException) -> None:
        """Stop the service because of an error that must not be lived with."""
        if self.failure is None:
            self.failure = error
        self.stopping.set()

    async def cancel_tasks(self) -> None:
        """End everything spawned."""
        await end(*self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("task %s failed", task.get_name(), exc_info=error)
            self.fail(error)

    def _report(self, rejected: MessageRejected) -> None:
        self.emit(rejected, entity=service_entity(self.place, self.service))


def run(service: str, main: Main, *, before_bus: bool = False) -> NoReturn:
    """Run a service to its end. Exit codes: 0 orderly, 1 crash, 2 configuration or environment.

    `before_bus`: main does not wait until the bus is connected (it awaits `rt.bus.ready` where it
    must), because something has to happen in time whether or not there is a bus.
    """
    settings = arguments(service)
    log_to_stderr(settings)
    try:
        cluster = load(settings.config)
        _check_place(settings, cluster)
        with StateFolder(settings.state / service) as folder:
            code = asyncio.run(_serve(settings, cluster, folder, main, before_bus=before_bus))
    except HoldfastError as error:
        _log.critical("cannot start: %s", error)
        code = 2
    sys.exit(code)


async def _serve(
    settings: Settings, cluster: ClusterFile, folder: StateFolder, main: Main, *, before_bus: bool
) -> int:
    rt = Runtime(settings, cluster, folder)
    Heartbeat(rt.timing.frozen_after).start()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, rt.stopping.set)
    outbox = rt.spawn(rt.outbox.run(), "outbox")
    try:
        if before_bus:
            rt.spawn(rt.bus.connect(), "connect")
        if before_bus or await unless_stopping(rt.stopping, rt.bus.connect(), "connect"):
            try:
                _announce(rt)
            except SpoolError as error:
                # A service whose events find no room must still stop groups, and still vote.
                _log.critical("the start of this service is not on record: %s", error)
            rt.spawn(_keep_alive_file(rt), "alive")
            failure = await until_stopped(rt.stopping, _whole(main, rt), "main", STOP_DEADLINE)
            if failure is not None:
                rt.fail(failure)
            with contextlib.suppress(HoldfastError):
                _say_stopped(rt)
            await rt.outbox.flush(FLUSH_DEADLINE)
    finally:
        await rt.cancel_tasks()
        await asyncio.gather(outbox, return_exceptions=True)
        (rt.state / ALIVE).unlink(missing_ok=True)
        await rt.bus.close()
        rt.outbox.close()
        if rt.telemetry:
            rt.telemetry.shutdown()
    if rt.failure is None:
        return 0
    _log.critical("stopped by a failure: %r", rt.failure, exc_info=rt.failure)
    return 1


async def _whole(main: Main, rt: Runtime) -> None:
    await main(rt)


def _telemetry_of(cluster: ClusterFile, place: str, service: str) -> "Telemetry | None":
    """Telemetry if `[telemetry]` or OTEL_EXPORTER_OTLP_ENDPOINT names a collector, else None."""
    endpoint = cluster.telemetry.endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint:
        return None
    # Loading the SDK takes half a second, which a restarted service without a collector saves.
    from holdfast.otlp import Telemetry

    return Telemetry(endpoint, cluster=cluster.cluster.name, place=place, service=service)


def _announce(rt: Runtime) -> None:
    entity = service_entity(rt.place, rt.service)
    started = ServiceStarted(
        service=rt.service, place=rt.place, version=version("holdfast"), pid=os.getpid()
    )
    rt.emit(started, entity=entity)
    for aside in rt.outbox.set_aside:
        _log.error("spool file set aside as %s: %s", aside.file, aside.reason)
        for old in aside.deleted:
            _log.error("%s, set aside earlier, was deleted: only the newest are kept", old)
        data = SpoolSetAside(
            service=rt.service,
            place=rt.place,
            file=str(aside.file)[-400:],
            reason=aside.reason[:1000],
            events_kept=aside.kept,
            deleted=[old.name for old in aside.deleted[:16]],
        )
        rt.emit(data, entity=entity)


def _say_stopped(rt: Runtime) -> None:
    reason = f"failure: {rt.failure!r}"[:1000] if rt.failure else "asked to"
    stopped = ServiceStopped(service=rt.service, place=rt.place, reason=reason)
    rt.emit(stopped, entity=service_entity(rt.place, rt.service))


async def _keep_alive_file(rt: Runtime) -> None:
    while True:
        if rt.bus.connected:
            (rt.state / ALIVE).touch()
        await asyncio.sleep(ALIVE_EVERY)


def _check_place(settings: Settings, cluster: ClusterFile) -> None:
    if settings.place not in cluster.places():
        raise HoldfastError(
            f"there is no place {settings.place!r}",
            place=str(settings.config),
            cure=f"--place must be one of {', '.join(cluster.places())}",
        )
