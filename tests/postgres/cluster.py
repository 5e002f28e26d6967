"""Hosts alpha and beta, a witness, and one group: volume, disk, file system, PostgreSQL."""

import re
import sys
from pathlib import Path

from holdfast.console.demo.cluster_file import SERVICE
from tests.postgres import remains
from tests.postgres.database import Server, make
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.documents import DOCS
from tests.support.nats import free_ports

GROUP = "database"
VOLUME = "orders"
PARTS = DOCS / "examples/postgresql"

_GROUP = """\
[volumes.{volume}]
driver = "directory"
path = "{folder}/shared"

[groups.{group}]
nodes = ["alpha", "beta"]
max_moves = 100
moves_window = 0.5

[groups.{group}.resources.store]
kind = "volume"
volume = "{volume}"

[groups.{group}.resources.served]
kind = "process"
after = ["store"]
command = ["{python}", "-m", "holdfast.storage_replication.data_path", "--volume", "{volume}",
           "--file", "{folder}/shared/volume.raw", "--unix", "{folder}/{{node}}/nbd.sock"]
checks = [{{ kind = "process" }}]

[groups.{group}.resources.disk]
kind = "process"
after = ["served"]
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


class DatabaseCluster:
    """A running cluster and what its hosts have outside of their processes.

    `folder` must be passable for the user postgres, and its name short: sockets lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(SERVICE, free_ports(1)[0])
        for part in (*HOSTS, "shared"):
            (folder / part).mkdir()
        self.running = RunningCluster(folder / "cluster", edit=self._with_database)

    @property
    def copies(self) -> list[Path]:
        """Every copy of the volume."""
        return [self.folder / "shared/volume.raw"]

    def prepare(self) -> None:
        """Make the file system and the database."""
        make(self.copies[0], self.folder / "first", self.server)

    async def power_off(self, host: str) -> None:
        """SIGKILL for every process of it at once; then the kernel forgets it, too."""
        await self.running.kill_host(host)
        remains.clear(self.folder / host)

    async def power_on(self, host: str) -> None:
        """Back, healthy, and in sync."""
        await self.running.local.place(host).start()
        await self.running.healthy()

    async def stop(self) -> None:
        """Stop everything; nothing is left."""
        try:
            await self.running.stop()
        finally:
            for host in HOSTS:
                remains.clear(self.folder / host)

    def _with_database(self, text: str) -> str:
        """The demonstration's file with this group in the place of the ledger's."""
        root = f"{self.folder}/$HOLDFAST_NODE"
        group = _GROUP.format(
            volume=VOLUME,
            group=GROUP,
            folder=self.folder,
            python=sys.executable,
            parts=PARTS,
            filesystem=f"exec {PARTS}/filesystem $0 {root}/fuse/disk {root}/root",
            host=self.server.host,
            port=self.server.port,
            ready=["pg_isready", "-q", "-h", self.server.host, "-p", str(self.server.port)],
        )
        text = re.sub(r"(\[nodes\.\w+\]\n)", r"\1max_failures = 100\n", text)
        head, _, rest = text.partition("[volumes.ledger]")
        return head + group + "[notifications" + rest.partition("[notifications")[2]
