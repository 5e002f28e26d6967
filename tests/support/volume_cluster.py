"""A whole cluster whose ledger keeps its journal on a replicated volume."""

import contextlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.clock import wall_time
from holdfast.console.demo.processes import run
from tests.support.cluster import HOSTS, RunningCluster
from tests.support.nats import free_ports

VOLUME = "ledger"


def on_a_volume(
    text: str,
    folder: Path,
    ports: Iterable[int],
    *,
    size: str = "64MiB",
    mode: str = "sync",
    member_timeout: float = 1.5,
    network: str = "",
    max_lag: str = "",
) -> str:
    """A cluster file whose ledger keeps its journal on a volume, with a copy on each host."""
    parts = [f'[volumes.ledger]\ndriver = "replicated"\nsize = "{size}"\nmode = "{mode}"']
    parts.append(f"member_timeout = {member_timeout}\n")
    if max_lag:
        parts.append(f"max_lag = {max_lag}\n")
    for node, port in zip(HOSTS, ports, strict=True):
        parts.append(
            f"[volumes.ledger.members.{node}]\n"
            f'path = "{folder}/{node}.raw"\nport = {port}\nsocket = "{folder}/{node}.nbd"'
            + (f'\nnetwork = "{network}"\n' if network else "\n")
        )
    begin, end = text.index("[volumes.ledger]"), text.index("[groups.ledger]")
    text = text[:begin] + "\n".join(parts) + "\n" + text[end:]
    device = f'"--nbd", "unix:{folder}/{{node}}.nbd?export={VOLUME}"'
    return re.sub(r'"--data",\s*"[^"]*"', device, text)


class VolumeCluster(RunningCluster):
    """As RunningCluster, with one more word for each host's copy."""

    def __init__(
        self,
        folder: Path,
        *,
        size: str = "64MiB",
        mode: str = "sync",
        member_timeout: float = 1.5,
        max_lag: str = "",
    ) -> None:
        super().__init__(folder)
        config = folder / "cluster.toml"
        text = on_a_volume(
            config.read_text(), folder, free_ports(2), size=size, mode=mode,
            member_timeout=member_timeout, max_lag=max_lag,
        )  # fmt: skip
        config.write_text(text)
        self.folder = folder

    async def healthy(self) -> None:
        """The volume exists, too: the first time it has to be made."""
        if not (self.folder / "made").exists():
            (self.folder / "made").touch()
            code, said = await self.command("volume", "create", VOLUME)
            assert code == 0, said
        await super().healthy()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """`holdfast ...`: exit code and what it said."""
        return await run(self.holdfast(*arguments), timeout=90)

    async def copies(self) -> dict[str, dict[str, Any]]:
        """What each host last said of its copy."""
        _, said = await self.command("volume", "status", VOLUME, "--json")
        return {one["node"]: one["pulse"] for one in json.loads(said)}

    def data_path(self, node: str) -> int:
        """The process that serves the volume there, by the file that it was given."""
        found = self._data_path(node)
        assert found is not None, f"no data path runs on {node}"
        return found

    def runs_data_path(self, node: str) -> bool:
        """Whether there is one."""
        return self._data_path(node) is not None

    def _data_path(self, node: str) -> int | None:
        file = f"{self.folder}/{node}.raw".encode()
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if file in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0"):
                    return int(name)
        return None

    async def in_sync(self, *also: str) -> None:
        """Both copies have everything; or stand as `also` says."""
        fine = ("in_sync", *also)

        def both(status: Any) -> bool:
            return bool(status.volumes) and all(
                one.heard and one.pulse.standing in fine and not one.pulse.problem
                for one in status.volumes
            )

        await self.status_where(both, f"both copies are {' or '.join(fine)}")

    async def verified(self, member: str, *options: str) -> list[str]:
        """What `volume verify` finds different: offset+length."""
        began = wall_time()
        code, said = await self.command("volume", "verify", VOLUME, member, *options)
        assert code == 0, said
        found = await self.seen("volume_verified", since=began, member=member)
        assert bool(found.data["ranges"]) == bool(found.data["differences"])
        return list(found.data["ranges"])

    def device(self, node: str) -> Path:
        """The file that node's copy is."""
        return self.folder / f"{node}.raw"

    def socket(self, node: str) -> Path:
        """For NBD clients there."""
        return self.folder / f"{node}.nbd"
