"""A whole cluster in a lab: what `tests.support.cluster` offers, each place in its namespace."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.bus import Bus
from holdfast.config.model import Bus as BusPorts
from holdfast.console import credentials
from holdfast.console.connection import connect
from holdfast.console.files import write
from holdfast.console.here import CLUSTER_FILE, Here
from holdfast.console.launcher.local_cluster import LocalCluster
from holdfast.console.launcher.local_place import LocalPlace
from holdfast.console.launcher.session import Session
from holdfast.fence_host.processes import living_members
from holdfast.ledger.client import LedgerClient
from tests.network.journals import lost
from tests.support.cluster import HOSTS, RunningCluster, _well, eventually
from tests.support.lab import Lab, inside
from tests.support.ledger_file import ledger_file
from tests.support.watchdogs import Watchdogs

WITNESS = "witness"
PLACES: tuple[str, ...] = (*HOSTS, WITNESS)
PORT = 7777
RESTORED = 90.0
FENCE_WINDOW = 5
"""Seconds: hosts boot faster here than any does, and a fence of the scenario before is no reason to
hold that of the next."""
Fencing = Literal["device", "watchdog", "lease-only"]
_DEVICE = """
[[nodes.{name}.fence]]
agent = "fence_holdfast_host"
options = {{ run_dir = "{run_dir}" }}
"""
_WATCHDOG = """
[nodes.{name}.watchdog]
device = "{socket}"
"""


class LabPlace(LocalPlace):
    """A place whose processes live in a network namespace."""

    namespace = ""

    def _spawn(self, log: Path) -> tuple[Session, int]:
        with inside(self.namespace):
            return super()._spawn(log)

    @property
    def on(self) -> bool:
        """Whether its first process lives."""
        return self._session is not None


class LabCluster(LocalCluster):
    """Its addresses are those of the lab. It is asked through the witness, which outlives most."""

    def __init__(
        self, config: Path, state: Path, lab: Lab, on_report: Callable[[str], None], *, tls: bool
    ) -> None:
        super().__init__(config, state, on_report=on_report)
        self._tls = tls
        self.lab_places: dict[str, LabPlace] = {}
        for name in self.places:
            place = LabPlace(
                name,
                config=self.config,
                run_dir=self.run_dir,
                secrets=self.secrets / name,
                on_report=on_report,
            )
            place.namespace = lab.namespace(name)
            self.places[name] = self.lab_places[name] = place

    async def start(self) -> None:
        """Start every place."""
        credentials.initialise(self.cluster, self.secrets, tls=self._tls)
        here = Here(config=str(self.config), secrets=str(self.secrets))
        write(self.state / CLUSTER_FILE, msgspec.json.encode(here))
        await self._start_places()

    async def ready(self, timeout: float) -> None:
        """Wait until every nats-server is healthy."""
        for place in self.lab_places.values():
            await eventually(partial(bus_is_well, place), f"{place.name}'s bus is well")

    async def connect(self, user: str, *, timeout: float = 10.0) -> Bus:
        """The bus, by the witness's nats-server."""
        witness = {WITNESS: self.cluster.witnesses[WITNESS]}
        narrowed = msgspec.structs.replace(self.cluster, nodes={}, witnesses=witness)
        return await connect(narrowed, self.secrets, user, timeout=timeout)


class NetworkCluster(RunningCluster):
    """Hosts alpha and beta and a witness in a lab.

    `fencing`: what ends a host: a fence device, a watchdog outside of it, or nothing but its lease.
    `shared`: both hosts write to one journal; else each has one of its own.
    """

    tls = False

    def __init__(self, folder: Path, lab: Lab, *, fencing: Fencing, shared: bool = True) -> None:
        self.lab, self.folder = lab, folder
        self.fencing: Fencing = fencing
        self.shared = shared
        self.data = folder / "storage"
        self.journal = str(self.data)
        """What an argument of the ledger's process begins with."""
        for name in HOSTS:
            (self.data / name).mkdir(parents=True)
        state = folder / "state"
        run_dir = state / "places"
        watched = HOSTS if fencing == "watchdog" else ()
        self.dogs = Watchdogs(folder, run_dir, watched)
        devices = [_WATCHDOG.format(name=name, socket=self.dogs.socket(name)) for name in watched]
        if fencing == "device":
            devices = [_DEVICE.format(name=name, run_dir=run_dir) for name in HOSTS]
        config = folder / "cluster.toml"
        text = ledger_file(
            "lab",
            places={name: _addresses(lab, name) for name in PLACES},
            data=self.data,
            port=PORT,
            journal="" if shared else f"{self.data}/{{node}}",
            networks=lab.networks[1:],
            devices=devices,
        )
        text = text.replace("[cluster]\n", f"[cluster]\nfence_window = {FENCE_WINDOW}\n")
        config.write_text(self.edited(text))
        self.urls = {name: f"http://{lab.address(name)}:{PORT}" for name in HOSTS}
        self.reports: list[str] = []
        made = LabCluster(config, state, lab, self.reports.append, tls=self.tls)
        self.local = self.network = made

    def edited(self, text: str) -> str:
        """The cluster file, as it shall be."""
        return text

    async def start(self) -> None:
        """The watchdogs first: they are no part of their hosts."""
        await self.dogs.start()
        await super().start()

    async def stop(self) -> None:
        """Heal and thaw, then stop everything."""
        self.lab.heal()
        for place in PLACES:
            self.thaw(place)
        try:
            await super().stop()
        finally:
            await self.dogs.stop()

    def members(self, place: str) -> set[int]:
        """Every process of a place."""
        if not self.network.lab_places[place].on:
            return set()
        return {one.pid for one in living_members(int(self.local.place(place).record()["session"]))}

    def freeze(self, place: str) -> None:
        """Stall a whole host: every process of its session stops."""
        frozen: set[int] = set()
        while new := self.members(place) - frozen:
            self._signal(new, signal.SIGSTOP)
            frozen |= new

    def thaw(self, place: str) -> None:
        """It goes on."""
        self._signal(self.members(place), signal.SIGCONT)

    def _signal(self, pids: set[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def restore(self) -> None:
        """No fault any more, hosts that were fenced booted again, everything well."""
        self.lab.heal()
        for place in PLACES:
            self.thaw(place)

        async def well() -> bool:
            for place in self.network.lab_places.values():
                if not place.on and not await place.is_on():
                    await place.start()
            status = await self.status()
            return status is not None and _well(status) and await self._everything_runs()

        await eventually(well, "the cluster is whole again", timeout=RESTORED)

    async def _everything_runs(self) -> bool:
        for place in self.network.lab_places.values():
            services = place.services().values()
            if not services or not all(service.pid for service in services):
                return False
            if not await bus_is_well(place):
                return False
        return True

    @contextlib.asynccontextmanager
    async def observed(self) -> AsyncIterator[LedgerClient]:
        """Writes all the time to whichever host takes it; every promise must have been kept."""
        client = LedgerClient(list(self.urls.values()))
        client.start()
        try:
            yield client
        finally:
            report = await asyncio.to_thread(client.finish)
        if self.shared:
            assert report.ok, report
        else:
            assert report.acknowledged, report
            assert not lost(client.promises, [self.data / host for host in HOSTS])


def _addresses(lab: Lab, place: str) -> str:
    """The lines of the cluster file that say where a place is."""
    further = [f'{one} = "{lab.address(place, one)}"' for one in lab.networks[1:]]
    lines = f'address = "{lab.address(place)}"'
    return lines + (f"\naddresses = {{ {', '.join(further)} }}" if further else "")


async def bus_is_well(place: LabPlace) -> bool:
    """Whether a place's nats-server, asked from within its namespace, is healthy."""
    with inside(place.namespace):
        sock = socket.socket()
    sock.setblocking(False)
    try:
        async with asyncio.timeout(2.0):
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", BusPorts().monitor_port))
            await loop.sock_sendall(sock, b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in (await loop.sock_recv(sock, 4096)).partition(b"\n")[0]
    except (OSError, TimeoutError):
        return False
    finally:
        sock.close()
