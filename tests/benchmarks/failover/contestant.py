"""What a contestant must be able to do, and the part of it that is the same for all.

Two hosts, alpha and beta, run the service; a third node, the witness, only has a vote.
"""

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from holdfast.clock import monotonic
from tests.benchmarks.failover.node.machine import Node
from tests.benchmarks.failover.node.power import PowerSwitch
from tests.benchmarks.failover.results import APPLICATION, HOST, Mark
from tests.support.lab import Lab

HOSTS = ("alpha", "beta")
WITNESS = "witness"
NODES = (*HOSTS, WITNESS)
PORT = 7777
SERVICE = "holdfast.ledger"
SETTLED_WITHIN = 180.0
POLL = 0.2
GONE_WITHIN = 10.0


class Contestant(Protocol):
    """A cluster that keeps one service answering."""

    name: str
    title: str
    faults: Sequence[str]
    """HOST and APPLICATION, or what of them it is meant to survive."""
    urls: dict[str, str]
    """Where the service is asked, by the name of who answers there."""

    def versions(self) -> dict[str, str]:
        """The programs that are measured."""
        ...

    async def start(self) -> None:
        """Boot what is off; returns once the cluster is whole and the service answers.

        Called before every fault. Raises TimeoutError.
        """

    async def owner(self) -> str:
        """The host that runs the service. Raises LookupError."""
        ...

    async def led(self, host: str) -> str:
        """What this host leads besides, in the contestant's own words; empty: nothing."""
        ...

    async def power_cut(self, host: str) -> None:
        """Everything of the host is gone at once, and off its network before that."""

    async def kill_application(self, host: str) -> None:
        """SIGKILL for the service's process."""

    async def phases(self, fault: str, host: str, began: float, answered: float) -> list[Mark]:
        """When which phase was over, as the contestant itself recorded it."""
        ...

    async def stop(self) -> None:
        """Nothing of it is left."""


Maker = Callable[[Lab, Path], Contestant]
"""Makes a contestant in a lab of NODES, with a folder for all it writes."""


class OnNodes:
    """The part of a contestant that is the same for all: nodes, power, faults, the service."""

    faults: Sequence[str] = (HOST, APPLICATION)

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.nodes = {name: Node(name, lab, folder / name) for name in NODES}
        self.switch = PowerSwitch(folder / "switch", self.nodes)
        self.data = folder / "shared-storage"
        self.data.mkdir()
        self.urls = {name: f"http://{lab.address(name)}:{PORT}" for name in HOSTS}

    async def boot(self) -> None:
        """Switch on what is off; whatever takes its power away later needs the switch."""
        await self.switch.open()
        for node in self.nodes.values():
            node.power_on()

    async def power_cut(self, host: str) -> None:
        """As the power switch does it; in this thread, since nothing may come between."""
        self.nodes[host].cut_power()

    async def kill_application(self, host: str) -> None:
        """The process that answers, not one that only starts or stops it."""
        (pid,) = self.nodes[host].processes(SERVICE)
        ended = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(ended, signal.SIGKILL)
            if not select.select([ended], [], [], GONE_WITHIN)[0]:
                raise TimeoutError(f"the service on {host} outlived SIGKILL")
        finally:
            os.close(ended)

    async def stop(self) -> None:
        """The switch first: nobody switches anything on or off any more."""
        await self.switch.close()
        with contextlib.ExitStack() as all_of_them:
            for node in self.nodes.values():
                all_of_them.callback(node.cut_power)

    def running(self) -> Iterator[str]:
        """Hosts with a process of the service."""
        for host in HOSTS:
            if self.nodes[host].on and self.nodes[host].processes(SERVICE):
                yield host

    async def led(self, host: str) -> str:
        """Nothing, where nobody leads."""
        return ""


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, *, timeout: float = SETTLED_WITHIN
) -> None:
    """Return as soon as the condition holds. Raises TimeoutError."""
    deadline = monotonic() + timeout
    while not await condition():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        await asyncio.sleep(POLL)
