"""keepalived: an address that moves by VRRP, at its defaults; the service runs on both hosts.

It restarts nothing and fences nobody: it is here for the loss of a host only. The address stands
in for a service without state, and its hosts write to a journal each.
"""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from holdfast.clock import monotonic
from holdfast.ledger.exchange import ExchangeError, exchange
from tests.benchmarks.failover.contestant import HOSTS, PORT, OnNodes, eventually
from tests.benchmarks.failover.packages import installed
from tests.benchmarks.failover.results import HOST, Mark
from tests.benchmarks.failover.times import wall_minus_monotonic
from tests.support.lab import OUT, Lab

ADDRESS = f"{OUT}.100"
INTERFACE = "out"
ASK = 0.5
NOTED_WITHIN = 20.0
HEARD_FOR = 4.0
"""Seconds after which a backup has waited for its master once: 3.6 at the defaults."""
_CONFIG = """\
global_defs {{
  router_id {name}
  enable_script_security
  script_user root
}}
vrrp_instance service {{
  interface {interface}
  virtual_router_id 51
  virtual_ipaddress {{
    {address}/24
  }}
  notify_master "{folder}/notify"
}}
"""
_NOTIFY = """\
#!/bin/sh
date +%s.%N >>{folder}/master
"""
_START = """\
"$PYTHON" -m holdfast.ledger --listen 0.0.0.0:{port} --data {data} --epoch {epoch} &
keepalived --dont-fork --log-console --log-detail --use-file {folder}/keepalived.conf &
"""


class Keepalived(OnNodes):
    """Two routers of equal priority, so that the one that returns takes nothing back."""

    name = "keepalived"
    title = "keepalived, defaults (moves an address only)"
    faults: Sequence[str] = (HOST,)

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab, folder)
        self.urls = {"address": f"http://{ADDRESS}:{PORT}"}
        for epoch, name in enumerate(HOSTS, start=1):
            node, data = self.nodes[name], self.data / name
            data.mkdir()
            values = {"name": name, "interface": INTERFACE, "address": ADDRESS}
            (node.folder / "keepalived.conf").write_text(
                _CONFIG.format(folder=node.folder, **values)
            )
            notify = node.folder / "notify"
            notify.write_text(_NOTIFY.format(folder=node.folder))
            notify.chmod(0o755)
            (node.folder / "start").write_text(
                _START.format(folder=node.folder, data=data, epoch=epoch, port=PORT)
            )
        self.nodes = {name: self.nodes[name] for name in HOSTS}

    def versions(self) -> dict[str, str]:
        """As Debian packages it."""
        return installed("keepalived")

    async def start(self) -> None:
        """The address at exactly one host, the service answering at both."""
        for node in self.nodes.values():
            if not node.on:
                self._forget(node.name)
        await self.boot()
        since: float | None = None

        async def settled() -> bool:
            nonlocal since
            since = (since or monotonic()) if self._whole() else None
            return since is not None and monotonic() - since > HEARD_FOR

        await eventually(settled, f"{self.title} is whole")

    async def owner(self) -> str:
        """Who has the address."""
        return self._owner()

    async def phases(self, fault: str, host: str, began: float, answered: float) -> list[Mark]:
        """Its log tells one thing: when the other host became master."""
        offset = wall_minus_monotonic()
        (other,) = (name for name in HOSTS if name != host)
        told = self.nodes[other].folder / "master"
        found: list[float] = []

        async def noted() -> bool:
            times = [float(line) - offset for line in told.read_text().split()]
            found[:] = [at for at in times if at >= began]
            return bool(found)

        await eventually(noted, f"{other} notes that it is master", timeout=NOTED_WITHIN)
        return [Mark(phase="detect", at=found[0])]

    def _forget(self, host: str) -> None:
        """A host loses its addresses with its power; its network namespace outlived that."""
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(
                [
                    "ip",
                    "-n",
                    self.lab.namespace(host),
                    "addr",
                    "del",
                    f"{ADDRESS}/24",
                    "dev",
                    INTERFACE,
                ],
                check=True,
                capture_output=True,
                timeout=20,
            )

    def _owner(self) -> str:
        """Raises LookupError if it is not at exactly one."""
        command = ("ip", "-brief", "address", "show", "dev", INTERFACE)
        having = [node.name for node in self.nodes.values() if f"{ADDRESS}/" in node.run(*command)]
        if len(having) != 1:
            raise LookupError(f"the address is at {having or 'nobody'}")
        return having[0]

    def _whole(self) -> bool:
        try:
            self._owner()
            for host in HOSTS:
                exchange(f"http://{self.lab.address(host)}:{PORT}", "GET", "/healthz", timeout=ASK)
            exchange(self.urls["address"], "GET", "/healthz", timeout=ASK)
        except (LookupError, subprocess.SubprocessError, ExchangeError):
            return False
        return True
