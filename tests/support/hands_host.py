"""A recovery service as a process of its own, with real voters, and everything that it says."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nkeys  # type: ignore[import-untyped]

from holdfast import clock, ids, lease, subjects
from holdfast.bus import Bus
from holdfast.events import Envelope, EventData, Health, Layer, decode_data
from holdfast.streams import ensure_streams
from holdfast.wire import (
    Acknowledged,
    Claim,
    GroupReport,
    HandsPulse,
    LeaseRequest,
    MonitorPulse,
    Order,
    OrderReply,
    Pulse,
    Release,
    Renew,
    SignalSummary,
    Vote,
    Watch,
)
from tests.support.follower import Follower
from tests.support.nats import NatsServer, free_ports
from tests.support.waiting import until

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

{rest}
"""


class Voters:
    """Three real voters in this process. A silent one is as good as dead."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.silent: set[str] = set()
        self.states = {
            name: lease.VoterState(
                name=name,
                started=-1000.0,
                max_ttl=60.0,
                electorate="alpha,beta,witness",
            )
            for name in ("alpha", "beta", "witness")
        }

    async def serve(self) -> None:
        """Take requests."""
        for name in self.states:
            await self._bus.serve(subjects.lease(name), LeaseRequest, self._voter(name).answer)

    def _voter(self, name: str) -> "_Voter":
        return _Voter(self, name)


class _Voter:
    def __init__(self, voters: Voters, name: str) -> None:
        self._voters, self._name = voters, name

    async def answer(self, request: LeaseRequest) -> Vote | None:
        if self._name in self._voters.silent or not isinstance(request, Renew | Claim | Release):
            return None
        state = self._voters.states[self._name]
        answer = lease.answer(state, request, clock.monotonic())
        self._voters.states[self._name] = answer.state
        return answer.vote


class Host:
    """Host alpha, as seen on the bus; the test plays decider and monitor."""

    def __init__(
        self, bus: Bus, server: NatsServer, folder: Path, groups: str, profile: str = "fast"
    ) -> None:
        self.bus, self.folder = bus, folder
        self.voters = Voters(bus)
        self.pulses: list[HandsPulse] = []
        self.watches: list[Watch] = []
        self.follower = Follower(bus)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        config = folder / "cluster.toml"
        text = _CLUSTER.format(port=server.port, ports=free_ports(8), rest=groups)
        config.write_text(text.replace('"fast"', f'"{profile}"'))
        for service in ("recovery", "storage_replication"):
            seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
            (folder / f"{service}.nk").write_bytes(seed)
        self._environment = {
            **os.environ,
            "HOLDFAST_CONFIG": str(config),
            "HOLDFAST_PLACE": "alpha",
            "HOLDFAST_STATE": str(folder / "state"),
            "HOLDFAST_SECRETS": str(folder),
        }

    async def listen(self) -> None:
        """Hear all that it says, and vote."""
        await ensure_streams(self.bus, len(self.bus.servers))
        await self.voters.serve()
        await self.bus.subscribe(subjects.PULSES, Pulse, self._pulse)
        await self.bus.serve(subjects.command("alpha", "monitor"), Watch, self._watch)
        await self.follower.open()

    # --- the service as a process --------------------------------------------------------------

    def start(self, boot: str = BOOT, service: str = "recovery") -> "subprocess.Popen[bytes]":
        """Start it; what it says of itself goes to `<service>.log`."""
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"holdfast.{service}"],
                env={**self._environment, "HOLDFAST_BOOT_ID": boot},
                stderr=log,
            )
        if service == "recovery":
            self._process = process
            self.pulses.clear()
        return process

    @property
    def service_pid(self) -> int:
        """The recovery service's own pid."""
        assert self._process is not None
        return self._process.pid

    async def end(self, number: signal.Signals) -> int:
        """Signal it and wait for its end; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, PATIENCE)

    def kill(self) -> None:
        """At the end of a test, whatever happened."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    # --- what it says --------------------------------------------------------------------------

    async def group(self, state: str, group: str = "web") -> GroupReport:
        """Wait until the latest pulse reports the group so."""

        def reported() -> GroupReport | None:
            reports = self.pulses[-1].groups if self.pulses else []
            return next((r for r in reports if (r.group, r.state) == (group, state)), None)

        await until(
            lambda: reported() is not None,
            within=PATIENCE,
            what=f"{state}; pulses {self.pulses[-1:]}; log {self.log()}",
        )
        report = reported()
        assert report is not None
        return report

    async def leased(self, held: bool = True) -> None:
        """Wait until it says that it holds its lease, or that it does not."""
        await until(
            lambda: bool(self.pulses) and self.pulses[-1].lease_valid == held,
            within=PATIENCE,
            what=f"lease {held}; log {self.log()}",
        )

    async def event(self, kind: type[EventData], count: int = 1) -> Envelope:
        """Wait for the `count`th event of a type."""
        await until(lambda: len(self.all(kind)) >= count, within=PATIENCE, what=kind.__name__)
        return self.all(kind)[count - 1]

    def all(self, kind: type[EventData]) -> list[Envelope]:
        """Every event of a type so far."""
        envelopes = [seen.envelope for seen in self.follower.seen]
        return [e for e in envelopes if isinstance(decode_data(e), kind)]

    def log(self) -> str:
        """The end of what the service logged."""
        return (self.folder / "recovery.log").read_text()[-3000:]

    async def pid(self, resource: str = "server") -> int:
        """The pid under which the monitor is told to watch a resource."""

        def watched() -> list[int]:
            last = self.watches[-1].resources if self.watches else []
            return [w.pid for w in last if w.resource == resource]

        await until(lambda: bool(watched()), within=PATIENCE, what=f"a watch of {resource}")
        return watched()[0]

    # --- what it is told -----------------------------------------------------------------------

    async def order(self, action: str, epoch: int, intent: str, boot: str = BOOT) -> OrderReply:
        """One order, as the decider sends it; returns the first reply."""
        order = Order(
            action="start" if action == "start" else "stop",
            group="web",
            node="alpha",
            boot=boot,
            epoch=epoch,
            intent=intent,
            incident="incident",
            cause="decision",
            not_after=clock.monotonic() + 5.0,
            leader_term=1,
        )
        subject = subjects.command("alpha", "recovery")
        return await self.bus.request(subject, order, OrderReply, timeout=PATIENCE)

    async def done(self, action: str, epoch: int, intent: str) -> OrderReply:
        """Repeat an order until it is done."""
        async with asyncio.timeout(PATIENCE):
            while not (reply := await self.order(action, epoch, intent)).done:
                assert reply.accepted, reply.error
                await self._next_pulse()
        return reply

    async def _next_pulse(self) -> None:
        seen = len(self.pulses)
        await until(lambda: len(self.pulses) > seen, within=PATIENCE)

    async def failed(self, resource: str = "server") -> str:
        """Say, as the monitor does with every pulse, that the watched instance failed, until
        something follows from it. Returns the event's id."""
        watched = next(w for w in self.watches[-1].resources if w.resource == resource)
        event = ids.uuid7()
        now = clock.monotonic()
        summary = SignalSummary(
            entity=f"resource/web/{resource}",
            node="alpha",
            layer=Layer.APPLICATION,
            probe="process",
            state=Health.FAILED,
            reason="it ended",
            event=event,
            incident=event,
            since=now,
            instance=watched.instance,
        )
        pulse = MonitorPulse(node="alpha", boot=BOOT, now=now, signals=[summary])
        deadline = now + PATIENCE
        while not any(seen.envelope.causationid == event for seen in self.follower.seen):
            assert clock.monotonic() < deadline, "nothing follows from it"
            await self.bus.publish(subjects.pulse("alpha"), pulse)
            await asyncio.sleep(0.1)
        return event

    def _pulse(self, pulse: Pulse) -> None:
        if isinstance(pulse, HandsPulse):
            self.pulses.append(pulse)

    async def _watch(self, watch: Watch) -> Acknowledged:
        self.watches.append(watch)
        return Acknowledged(ok=True)


@asynccontextmanager
async def host(
    bus: Bus, server: NatsServer, folder: Path, groups: str, profile: str = "fast"
) -> AsyncIterator[Host]:
    """Host alpha with its recovery service running; nothing of it is left afterwards."""
    made = Host(bus, server, folder, groups, profile)
    await made.listen()
    made.start()
    try:
        await made.group("stopped")
        await made.leased()
        yield made
    finally:
        await made.follower.close()
        made.kill()
        kill_workloads(folder)


def kill_workloads(folder: Path) -> None:
    """Every process that carries a token and was told of this folder."""
    for pid in workloads(folder):
        os.kill(pid, signal.SIGKILL)


def workloads(folder: Path) -> list[int]:
    """Live processes started by recovery for this test, found by what they carry."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"HOLDFAST_TOKEN=" in environment and f"TEST_FOLDER={folder}".encode() in environment:
            found.append(int(entry.name))
    return found
