"""Hosts alpha and beta, a witness, and one group: volume, disk, file system, PostgreSQL."""

import asyncio
import re
from pathlib import Path

from holdfast.console.demo.cluster_file import SERVICE
from holdfast.console.demo.processes import run
from holdfast.wire import StatusReply
from tests.postgres import remains
from tests.postgres.database import SIZE, Server, make
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.documents import DOCS
from tests.support.nats import free_ports

GROUP = "database"
VOLUME = "orders"
PARTS = DOCS / "examples/postgresql"
LOCK = "data/postmaster.pid"
COMMAND_WITHIN = 90.0

_MEMBER = """\
[volumes.{volume}.members.{node}]
path = "{folder}/{node}/volume.raw"
port = {port}
socket = "{folder}/{node}/nbd.sock"
"""
_GROUP = """\
[volumes.{volume}]
driver = "replicated"
size = "{size}"
member_timeout = 15   # the load of this machine must not take a copy out of the set


{members}
[groups.{group}]
nodes = ["alpha", "beta"]
max_moves = 100
moves_window = 0.5

[groups.{group}.resources.store]
kind = "volume"
volume = "{volume}"

[groups.{group}.resources.disk]
kind = "process"
after = ["store"]
command = ["{parts}/disk", "nbd+unix:///{volume}?socket={folder}/{{node}}/nbd.sock",
           "{folder}/{{node}}/fuse"]
checks = [{{ kind = "process" }}]

[groups.{group}.resources.filesystem]
kind = "command"
after = ["disk"]
start = ["/bin/sh", "-c", "{filesystem}", "start"]
stop = ["/bin/sh", "-c", "{filesystem}", "stop"]
probe = ["/bin/sh", "-c", "{filesystem}", "probe"]
start_timeout = 60

[groups.{group}.resources.postgresql]
kind = "process"
after = ["filesystem"]
command = ["{parts}/database", "{folder}/{{node}}/root/data", "-h", "{host}", "-p", "{port}"]
checks = [{{ kind = "process" }},
          {{ kind = "command", interval = 1, command = {ready} }}]
start_timeout = 120
stop_timeout = 30

[monitor] # the load of this machine must not choose between its hosts
pressure_degraded = 1000
load_per_core_degraded = 10000
memory_available_degraded = 0.001
disk_free_degraded = 0.001

"""


class DatabaseCluster(RunningCluster):
    """A running cluster and what its hosts have outside of their processes.

    `folder` must be passable for the user postgres, and its name short: sockets lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(SERVICE, free_ports(1)[0])
        self.copies = [folder / host / "volume.raw" for host in HOSTS]
        for host in HOSTS:
            (folder / host).mkdir()
        super().__init__(folder / "cluster", edit=self._with_database)
        self._made = False

    async def start(self) -> None:
        """Make file system and database on one copy first; the other copy follows it."""
        await asyncio.to_thread(make, self.copies[0], self.folder / "first", self.server)
        await super().start()
        await self.in_sync()

    async def healthy(self) -> None:
        """The group cannot start before its volume is on record."""
        if not self._made:
            self._made = True
            await self.command("volume", "create", VOLUME, "--content-of", HOSTS[0])
        await super().healthy()

    async def in_sync(self) -> None:
        """Both copies have everything."""
        await self.status_where(_in_sync, "both copies are in sync")

    async def kill_host(self, name: str) -> str:
        """Power off: every process at once; then the kernel forgets it, too."""
        began = await super().kill_host(name)
        await asyncio.to_thread(remains.clear, self.folder / name)
        return began

    async def power_on(self, name: str) -> None:
        """Back, healthy, and in sync."""
        await self.local.place(name).start()
        await self.healthy()
        await self.in_sync()

    async def stop(self) -> None:
        """Stop everything; nothing is left."""
        try:
            await super().stop()
        finally:
            for host in HOSTS:
                await asyncio.to_thread(remains.clear, self.folder / host)

    async def command(self, *arguments: str) -> None:
        """`holdfast ...`, which must succeed."""
        code, said = await run(self.holdfast(*arguments), timeout=COMMAND_WITHIN)
        assert code == 0, said

    def _with_database(self, text: str) -> str:
        """The demonstration's file with this group in the place of the ledger's."""
        root = f"{self.folder}/$HOLDFAST_NODE"
        ports = free_ports(len(HOSTS))
        members = [
            _MEMBER.format(volume=VOLUME, node=host, folder=self.folder, port=port)
            for host, port in zip(HOSTS, ports, strict=True)
        ]
        group = _GROUP.format(
            volume=VOLUME,
            size=f"{SIZE >> 20}MiB",
            members="\n".join(members),
            group=GROUP,
            folder=self.folder,
            parts=PARTS,
            filesystem=f"exec {PARTS}/filesystem $0 {root}/fuse/disk {root}/root {LOCK}",
            host=self.server.host,
            port=self.server.port,
            ready=["pg_isready", "-q", "-h", self.server.host, "-p", str(self.server.port)],
        )
        text = re.sub(r"(\[nodes\.\w+\]\n)", r"\1max_failures = 100\n", text)
        head, _, rest = text.partition("[volumes.ledger]")
        return head + group + "[notifications" + rest.partition("[notifications")[2]


def _in_sync(status: StatusReply) -> bool:
    return len(status.volumes) == len(HOSTS) and all(
        one.heard and one.pulse.standing == "in_sync" and not one.pulse.problem
        for one in status.volumes
    )
