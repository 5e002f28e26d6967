"""Holdfast itself: at each place what `holdfast up` starts there, its own nats-server included."""

import contextlib
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from holdfast import jetstream, subjects
from holdfast.bus import Bus, BusError
from holdfast.config.load import load
from holdfast.console import credentials
from holdfast.console.connection import Unreachable, connect
from holdfast.console.launcher.preflight import find_nats_server
from holdfast.streams import OWNERSHIP_STREAM
from holdfast.subjects import EVENT_STREAM
from holdfast.wire import StatusReply, StatusRequest
from tests.benchmarks.failover.contestant import HOSTS, NODES, PORT, WITNESS, OnNodes, eventually
from tests.benchmarks.failover.contestants.holdfast_marks import marks
from tests.benchmarks.failover.node.machine import HERE
from tests.benchmarks.failover.results import Mark
from tests.benchmarks.failover.times import wall_minus_monotonic
from tests.support.follower import Follower
from tests.support.lab import Lab
from tests.support.ledger_file import ledger_file

ASK = 1.0
CONNECT = 10.0
RECORDED_WITHIN = 60.0
STREAMS = {OWNERSHIP_STREAM: "ownership", EVENT_STREAM: "events"}
_DEVICE = """
[[nodes.{name}.fence]]
agent = "fence_bench"
options = {{ switch = "{switch}" }}
"""
_START = """\
setsid "$PYTHON" -m holdfast.console.place --config {config} --place {place} \\
    --state {state} --secrets {secrets} &
"""


class Holdfast(OnNodes):
    """One profile, with the power switch as fence device or without."""

    def __init__(
        self, lab: Lab, folder: Path, *, name: str, profile: str = "standard", fenced: bool = True
    ) -> None:
        super().__init__(lab, folder)
        self.name = name
        proof = "fence device" if fenced else "lease only"
        self.title = f"Holdfast, profile {profile}, {proof}"
        self._secrets = folder / "secrets"
        config = folder / "cluster.toml"
        devices = [_DEVICE.format(name=host, switch=self.switch.path) for host in HOSTS]
        config.write_text(
            ledger_file(
                "bench",
                places={node: f'address = "{lab.address(node)}"' for node in NODES},
                data=self.data,
                port=PORT,
                profile=profile,
                devices=devices if fenced else (),
                attempts=100,
            )
        )
        for place, node in self.nodes.items():
            node.add(HERE / "fence_bench.py", "/usr/sbin/fence_bench")
            start = _START.format(
                config=config,
                place=place,
                state=node.folder / "state",
                secrets=self._secrets / place,
            )
            (node.folder / "state").mkdir()
            (node.folder / "start").write_text(start)
        self._config = config
        self._operator: Bus | None = None
        self._follower: Follower | None = None

    @classmethod
    def fenced(cls, lab: Lab, folder: Path) -> "Holdfast":
        """As it is recommended."""
        return cls(lab, folder, name="holdfast")

    @classmethod
    def lease_only(cls, lab: Lab, folder: Path) -> "Holdfast":
        """Without a fence device: the end of the old owner's lease is the proof."""
        return cls(lab, folder, name="holdfast-lease-only", fenced=False)

    @classmethod
    def fast(cls, lab: Lab, folder: Path) -> "Holdfast":
        """For networks that do not stall."""
        return cls(lab, folder, name="holdfast-fast", profile="fast")

    def versions(self) -> dict[str, str]:
        """Its own and that of its bus."""
        said = subprocess.run(
            [find_nats_server(), "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return {"holdfast": version("holdfast"), "nats-server": said.stdout.split("v")[-1].strip()}

    async def start(self) -> None:
        """Every lease held, the group active, every replica of the streams current."""
        cluster = load(self._config)
        if not self._secrets.exists():
            credentials.initialise(cluster, self._secrets, tls=False)
        await self.boot()
        if self._operator is None:
            await eventually(self._connected, "the witness's bus lets the operator in")
        await eventually(self._whole, f"{self.title} is whole")

    async def owner(self) -> str:
        """As the leading decider says."""
        status = await self._status()
        owner = status.groups[0].owner if status else None
        if owner is None:
            raise LookupError("nobody runs the ledger, or nobody leads")
        return owner

    async def led(self, host: str) -> str:
        """The deciders, and the streams in which decisions are recorded."""
        status = await self._status()
        led = ["deciders"] if status and status.leader == host else []
        led += [what for what, info in (await self._streams()).items() if info["leader"] == host]
        return ", ".join(led)

    async def phases(self, fault: str, host: str, began: float, answered: float) -> list[Mark]:
        """From the events since the fault."""
        assert self._follower is not None
        offset = wall_minus_monotonic()
        since = datetime.fromtimestamp(began + offset, UTC).isoformat(timespec="microseconds")
        follower, since = self._follower, since.replace("+00:00", "Z")
        found: list[Mark] = []

        async def recorded() -> bool:
            found[:] = marks(fault, host, follower.since(since), offset) or []
            return bool(found)

        await eventually(recorded, "every event is published", timeout=RECORDED_WITHIN)
        return found

    async def stop(self) -> None:
        """The connections first."""
        if self._follower is not None:
            await self._follower.close()
        if self._operator is not None:
            await self._operator.close()
        await super().stop()

    async def _connected(self) -> bool:
        """By the witness, whose power is never cut."""
        cluster = load(self._config)
        witness = {WITNESS: cluster.witnesses[WITNESS]}
        narrowed = msgspec.structs.replace(cluster, nodes={}, witnesses=witness)
        try:
            self._operator = await connect(narrowed, self._secrets, "operator", timeout=CONNECT)
        except Unreachable:
            return False
        self._follower = Follower(self._operator)
        await self._follower.open()
        return True

    async def _whole(self) -> bool:
        status = await self._status()
        if status is None or status.silent_voters or not status.groups:
            return False
        (group,) = status.groups
        well = all(node.state == "alive" and node.lease_valid for node in status.nodes)
        active = group.phase == group.reported == "active"
        return well and active and await self._replicated()

    async def _replicated(self) -> bool:
        try:
            clusters = (await self._streams()).values()
        except BusError:
            return False
        return all(
            cluster.get("leader")
            and len(cluster.get("replicas", [])) == len(NODES) - 1
            and all(one["current"] and not one.get("offline") for one in cluster["replicas"])
            for cluster in clusters
        )

    async def _streams(self) -> dict[str, dict[str, Any]]:
        assert self._operator is not None
        return {
            what: (await jetstream.api(self._operator, f"STREAM.INFO.{name}", {}, timeout=ASK)).get(
                "cluster", {}
            )
            for name, what in STREAMS.items()
        }

    async def _status(self) -> StatusReply | None:
        assert self._operator is not None
        with contextlib.suppress(BusError):
            return await self._operator.request(
                subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK
            )
        return None
