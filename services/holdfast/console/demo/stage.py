"""Where the demonstration plays: what the story may do to a cluster, and nothing more."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from holdfast.console.demo import cluster_file
from holdfast.console.launcher.local_cluster import LocalCluster

READY_TIMEOUT = 60.0
_IDEAS = ("status --watch", "events --follow", "host kill beta", "host start beta", "why", "down")


class Stage(Protocol):
    """A cluster with hosts alpha and beta, a witness, and the group `ledger`."""

    ideas: list[str]
    """Commands to try on a cluster that was left running."""

    async def start(self) -> None:
        """Bring everything up; returns once the bus is healthy."""

    async def stop(self) -> None:
        """Take everything down."""

    def leave(self) -> None:
        """Let it run on."""

    def holdfast(self, *arguments: str) -> list[str]:
        """The command that runs `holdfast` against this cluster."""
        ...

    def observer(self) -> list[str]:
        """The command that runs the ledger's outside observer."""
        ...

    async def kill_ledger(self, pid: int) -> None:
        """SIGKILL for the ledger's process on the host that runs it."""

    async def kill_host(self, name: str) -> None:
        """Everything on the host is gone at once."""

    async def start_host(self, name: str) -> None:
        """Switch the host on again: a new boot."""


class LocalStage:
    """On this machine, each host a session of processes."""

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self.folder = folder.absolute()
        self.state = self.folder / "state"
        self.ideas = [f"holdfast {idea} --state {os.path.relpath(self.state)}" for idea in _IDEAS]
        config, self.url = cluster_file.write(self.folder)
        self.cluster = LocalCluster(config, self.state, on_report=report)

    async def start(self) -> None:
        await self.cluster.start()
        await self.cluster.ready(READY_TIMEOUT)

    async def stop(self) -> None:
        await self.cluster.stop()

    def leave(self) -> None:
        self.cluster.leave()

    def holdfast(self, *arguments: str) -> list[str]:
        command = [sys.executable, "-m", "holdfast.console", *arguments]
        return [*command, "--state", str(self.state)]

    def observer(self) -> list[str]:
        program = [sys.executable, "-m", "holdfast.ledger.client"]
        return [*program, "--url", self.url, "--until-stdin-closes", "--json"]

    async def kill_ledger(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    async def kill_host(self, name: str) -> None:
        await self.cluster.place(name).kill()

    async def start_host(self, name: str) -> None:
        await self.cluster.place(name).start()
