"""A monitor as a process of its own, and all that it says, on a real bus."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import nats.errors
import nkeys  # type: ignore[import-untyped]
from nats.aio.msg import Msg

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.clock import process_start_ticks
from holdfast.events import Envelope, decode_data, decode_envelope
from holdfast.events.health import HealthSignal
from holdfast.streams import ensure_streams
from holdfast.wire import (
    Acknowledged,
    MonitorPulse,
    Pulse,
    SignalSummary,
    Watch,
    WatchedResource,
)
from tests.support.nats import NatsServer, free_ports
from tests.support.waiting import POLL, until

BOOT = "boot-1"
PATIENCE = 20.0
"""Seconds after which a test gives up. Far above what anything takes: not an assertion on time."""

_CLUSTER = """
[cluster]
name = "test"
voters = ["alpha", "beta", "witness"]
profile = "fast"
fencing = "lease-only"

[nodes.alpha]
address = "127.0.0.1"
bus = {{ client_port = {port}, route_port = {ports[0]}, monitor_port = {ports[1]} }}

[nodes.beta]
address = "127.0.0.1"
bus = {{ client_port = {ports[2]}, route_port = {ports[3]}, monitor_port = {ports[4]} }}

[witnesses.witness]
address = "127.0.0.1"
bus = {{ client_port = {ports[5]}, route_port = {ports[6]}, monitor_port = {ports[7]} }}

[groups.web]
nodes = ["alpha", "beta"]

[groups.web.resources.server]
kind = "process"
command = ["/bin/sleep", "1000"]
checks = [{checks}]
"""


class Monitored:
    """What the monitor of alpha says, collected by `bus`."""

    def __init__(self, bus: Bus, pid: int) -> None:
        self.bus, self.pid = bus, pid
        self.pulses: list[MonitorPulse] = []
        self.events: list[Envelope] = []

    async def listen(self) -> None:
        """Hear its pulses and its events."""
        await self.bus.subscribe(subjects.PULSES, Pulse, self._pulse)
        await self.bus.client.subscribe(subjects.EVENTS, cb=self._event)
        await self.bus.flush()

    async def watch(self, *resources: WatchedResource, boot: str = BOOT) -> Acknowledged:
        """Tell the monitor what runs, as recovery does."""
        message = Watch(node="alpha", boot=boot, resources=list(resources))
        subject = subjects.command("alpha", "monitor")
        return await self.bus.request(subject, message, Acknowledged, timeout=PATIENCE)

    async def pulse(self, condition: Callable[[list[SignalSummary]], bool]) -> MonitorPulse:
        """Wait until the latest pulse's signals fulfil the condition."""

        def fulfilled() -> bool:
            return bool(self.pulses) and condition(self.pulses[-1].signals)

        await until(fulfilled, within=PATIENCE, what=f"pulses: {self.pulses[-1:]}")
        return self.pulses[-1]

    async def shows(self, probe: str, state: str) -> SignalSummary:
        """Wait until the pulse carries such a signal."""
        pulse = await self.pulse(
            lambda signals: any((s.probe, s.state) == (probe, state) for s in signals)
        )
        return next(s for s in pulse.signals if (s.probe, s.state) == (probe, state))

    async def signal(self, probe: str, state: str) -> tuple[Envelope, HealthSignal]:
        """Wait for such a health signal in the record; the newest."""
        await until(
            lambda: bool(self.signals(probe, state)), within=PATIENCE, what=f"{probe} {state}"
        )
        return self.signals(probe, state)[-1]

    def signals(self, probe: str, state: str) -> list[tuple[Envelope, HealthSignal]]:
        """All such health signals so far."""
        decoded = ((event, decode_data(event)) for event in self.events)
        return [
            (event, data)
            for event, data in decoded
            if isinstance(data, HealthSignal) and (data.probe, data.state) == (probe, state)
        ]

    async def recorded(self, event: str) -> Envelope:
        """Wait until the newest health signal in the stream is this event.

        For events published while `bus` may not have been connected to hear them.
        """
        newest = self.bus.jetstream()
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(nats.errors.Error):
                    subject = subjects.event("health_signal")
                    stored = await newest.get_last_msg(subjects.EVENT_STREAM, subject)
                    envelope = decode_envelope(stored.data or b"", place=subject)
                    if envelope.id == event:
                        return envelope
                await asyncio.sleep(POLL)

    def _pulse(self, pulse: Pulse) -> None:
        if isinstance(pulse, MonitorPulse) and pulse.node == "alpha":
            self.pulses.append(pulse)

    async def _event(self, message: Msg) -> None:
        self.events.append(decode_envelope(message.data, place=message.subject))


@asynccontextmanager
async def monitored(
    server: NatsServer, bus: Bus, folder: Path, checks: str = ""
) -> AsyncIterator[Monitored]:
    """Run `python -m holdfast.monitor` of node alpha; it must end in order."""
    await ensure_streams(bus, len(bus.servers))
    process = _start(server, folder, checks)
    try:
        host = Monitored(bus, process.pid)
        await host.listen()
        await host.pulse(lambda signals: True)
        yield host
        process.terminate()
        code = await asyncio.to_thread(process.wait, PATIENCE)
        assert code == 0, (folder / "monitor.log").read_text()
    finally:
        process.kill()
        process.wait(PATIENCE)


def _start(server: NatsServer, folder: Path, checks: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    config = folder / "cluster.toml"
    config.write_text(_CLUSTER.format(port=server.port, ports=free_ports(8), checks=checks))
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    (folder / "monitor.nk").write_bytes(seed)
    environment = {
        **os.environ,
        "HOLDFAST_CONFIG": str(config),
        "HOLDFAST_PLACE": "alpha",
        "HOLDFAST_STATE": str(folder / "state"),
        "HOLDFAST_SECRETS": str(folder),
        "HOLDFAST_BOOT_ID": BOOT,
    }
    with (folder / "monitor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "holdfast.monitor"], env=environment, stderr=log
        )


@contextmanager
def workload() -> Iterator["subprocess.Popen[bytes]"]:
    """A process worth watching."""
    process = subprocess.Popen(["/bin/sleep", "1000"])
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def watched(process: "subprocess.Popen[bytes]") -> WatchedResource:
    """A process, as recovery names it."""
    instance = f"{process.pid}:{process_start_ticks(process.pid)}"
    return WatchedResource(group="web", resource="server", instance=instance, pid=process.pid)
