"""Pacemaker and Corosync at their defaults, with stonith, on three nodes of which one stands by."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.failover.contestant import NODES, PORT, WITNESS, OnNodes, eventually
from tests.benchmarks.failover.contestants.pacemaker_log import coordinator, marks, whole
from tests.benchmarks.failover.node.machine import HERE
from tests.benchmarks.failover.packages import installed
from tests.benchmarks.failover.results import Mark
from tests.benchmarks.failover.times import now, wall_minus_monotonic
from tests.support.lab import Lab

LOGGED_WITHIN = 30.0
_COROSYNC = """\
totem {{
  version: 2
  cluster_name: bench
  transport: knet
}}
quorum {{
  provider: corosync_votequorum
}}
logging {{
  to_stderr: no
  to_syslog: no
  to_logfile: yes
  logfile: {folder}/corosync.log
  timestamp: hires
}}
nodelist {{
{nodes}}}
"""
_NODE = """\
  node {{
    name: {name}
    nodeid: {number}
    ring0_addr: {address}
  }}
"""
# pacemakerd leaves if corosync does not answer yet; systemd's ordering is this loop here.
_START = """\
corosync -f &
until corosync-cmapctl >/dev/null 2>&1; do sleep 0.05; done
PCMK_logfacility=none PCMK_logfile={folder}/pacemaker.log pacemakerd &
"""
# As `pcs` makes it: stickiness 1, monitors as the agents' metadata advise (10 s; stonith 60 s).
_CIB = """\
<cib validate-with="pacemaker-3.8" admin_epoch="1" epoch="0" num_updates="0">
<configuration>
<crm_config><cluster_property_set id="options">
  <nvpair id="options-name" name="cluster-name" value="bench"/>
</cluster_property_set></crm_config>
<nodes>
  <node id="1" uname="alpha"/>
  <node id="2" uname="beta"/>
  <node id="3" uname="witness"><instance_attributes id="witness-attributes">
    <nvpair id="witness-standby" name="standby" value="on"/>
  </instance_attributes></node>
</nodes>
<resources>
  <primitive id="power" class="stonith" type="fence_bench">
    <instance_attributes id="power-attributes">
      <nvpair id="power-switch" name="switch" value="{switch}"/>
      <nvpair id="power-hosts" name="pcmk_host_list" value="alpha beta witness"/>
    </instance_attributes>
    <operations><op id="power-monitor" name="monitor" interval="60s"/></operations>
  </primitive>
  <primitive id="ledger" class="ocf" provider="holdfast" type="ledger">
    <instance_attributes id="ledger-attributes">
      <nvpair id="ledger-python" name="python" value="{python}"/>
      <nvpair id="ledger-port" name="port" value="{port}"/>
      <nvpair id="ledger-data" name="data" value="{data}"/>
    </instance_attributes>
    <operations>
      <op id="ledger-start" name="start" interval="0s" timeout="20s"/>
      <op id="ledger-stop" name="stop" interval="0s" timeout="20s"/>
      <op id="ledger-monitor" name="monitor" interval="10s" timeout="20s"/>
    </operations>
  </primitive>
</resources>
<constraints/>
<rsc_defaults><meta_attributes id="defaults">
  <nvpair id="defaults-stickiness" name="resource-stickiness" value="1"/>
</meta_attributes></rsc_defaults>
</configuration>
<status/>
</cib>
"""


class Pacemaker(OnNodes):
    """It runs the same service by an OCF agent, and fences by the same switch."""

    name = "pacemaker"
    title = "Pacemaker + Corosync, defaults, stonith"

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab, folder)
        entries = [
            _NODE.format(name=name, number=number, address=lab.address(name))
            for number, name in enumerate(NODES, start=1)
        ]
        for node in self.nodes.values():
            node.add(HERE / "fence_bench.py", "/usr/sbin/fence_bench")
            node.add(HERE / "ledger", "/usr/lib/ocf/resource.d/holdfast/ledger")
            config = _COROSYNC.format(folder=node.folder, nodes="".join(entries))
            node.disk("/etc/corosync", {"corosync.conf": config})
            node.disk("/var/lib/corosync")
            node.disk("/var/lib/pacemaker")
            (node.folder / "start").write_text(_START.format(folder=node.folder))
        self._configured = False

    def versions(self) -> dict[str, str]:
        """As Debian packages them."""
        return installed("pacemaker", "corosync")

    async def start(self) -> None:
        """Every node online, the service started, and its coordinator idle."""
        await self.boot()
        if not self._configured:
            await eventually(self._configure, "the cluster takes its configuration")
            self._configured = True
        await eventually(self._whole, f"{self.title} is whole")

    async def owner(self) -> str:
        """The host with a process of the service."""
        (owner,) = self.running()
        return owner

    async def led(self, host: str) -> str:
        """The designated coordinator."""
        said = await self._state()
        return "coordinator" if said and coordinator(said) == host else ""

    async def phases(self, fault: str, host: str, began: float, answered: float) -> list[Mark]:
        """From the logs of the nodes that live, once the start is on record there."""
        offset = wall_minus_monotonic()
        found: list[Mark] = []

        async def logged() -> bool:
            text = "\n".join(self._logs())
            found[:] = marks(fault, host, text, began=began + offset, now=now())
            return any(mark.phase == "start" for mark in found)

        await eventually(logged, "the start is in the log", timeout=LOGGED_WITHIN)
        return [Mark(phase=one.phase, at=one.at - offset) for one in found if one.phase != "start"]

    def _logs(self) -> list[str]:
        return [
            (node.folder / log).read_text(errors="replace")
            for node in self.nodes.values()
            if node.on
            for log in ("corosync.log", "pacemaker.log")
        ]

    async def _configure(self) -> bool:
        text = _CIB.format(
            switch=self.switch.path, python=sys.executable, port=PORT, data=self.data
        )
        return await self._said(text, "cibadmin", "--replace", "--xml-pipe") is not None

    async def _whole(self) -> bool:
        said = await self._state()
        if said is None or not whole(said, NODES):
            return False
        idle = await self._said("", "crmadmin", "--status", coordinator(said) or "")
        return idle is not None and "S_IDLE" in idle

    async def _state(self) -> str | None:
        return await self._said("", "crm_mon", "--one-shot", "--output-as=xml")

    async def _said(self, text: str, *command: str) -> str | None:
        """What a command on the witness says; None if it fails."""
        try:
            return await asyncio.to_thread(self.nodes[WITNESS].run, *command, text=text)
        except (LookupError, subprocess.SubprocessError):
            return None
