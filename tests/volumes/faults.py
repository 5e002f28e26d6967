"""What may happen to members' processes and to their services, one thing after another."""

import contextlib
import signal
import threading
from collections.abc import Callable
from random import Random

from tests.support.nbd_client import Client
from tests.support.replicated import Volume
from tests.support.replicated_member import Node
from tests.volumes.registers import PATIENCE, PLACES, Clients

Fault = Callable[[], None]


class Faults:
    """After each everybody is alive and connected again, though perhaps not caught up."""

    def __init__(self, volume: Volume, clients: Clients, random: Random) -> None:
        self.volume, self.clients, self.random = volume, clients, random
        self.done: list[str] = []
        """Those that struck, in order, and how long each step lasted."""

    def kinds(self) -> tuple[Fault, ...]:
        """All that may be drawn."""
        return (
            self.kill_primary, self.kill_and_promote, self.pause_and_promote, self.switch_over,
            self.pause_replica, self.kill_replica, self.no_service, self.kill_both,
            self.strand_replica,
        )  # fmt: skip

    def strike(self) -> None:
        """Something."""
        fault = self.random.choice(self.kinds())
        self.done.append(fault.__name__)
        fault()

    def kill_primary(self) -> None:
        name = self.volume.record.primary
        self.volume.nodes[name].end()
        self.volume.restart(name)

    def kill_and_promote(self) -> None:
        old = self.volume.record.primary
        self.volume.nodes[old].end()
        if (new := self.successor()) is not None:
            self.volume.fail_over(new)
        self.volume.restart(old)

    def pause_and_promote(self) -> None:
        """A client that has waited asks the old one, which then wakes: no stale answer (V7)."""
        old = self.volume.primary
        with Client(old.nbd, deadline=PATIENCE) as late:
            old.send_signal(signal.SIGSTOP)
            if (new := self.successor()) is not None:
                self.volume.fail_over(new)
                self.clients.acknowledge(20)
            place = self.random.choice(PLACES)
            with contextlib.suppress(OSError, EOFError):
                self.clients.read(old.name, late, place, lambda: old.send_signal(signal.SIGCONT))
            old.send_signal(signal.SIGCONT)

    def strand_replica(self) -> None:
        """It lags, is in the record, and gets promoted: nothing was acknowledged meanwhile (V3)."""
        old, replica = self.volume.primary, self.replica()
        self.volume.obeys = "silent"
        replica.send_signal(signal.SIGSTOP)
        self.wait(0.1, 0.8, 2.5)
        old.end()
        replica.send_signal(signal.SIGCONT)
        self.volume.obeys = "yes"
        if replica.name in self.volume.record.in_sync:
            self.volume.fail_over(replica.name)
        self.volume.restart(old.name)

    def switch_over(self) -> None:
        old = self.volume.record.primary
        self.volume.demote(old)
        # While nobody is primary the in-sync set does not change.
        self.volume.promote(self.successor() or old)

    def pause_replica(self) -> None:
        replica = self.replica()
        replica.send_signal(signal.SIGSTOP)
        self.wait(0.1, 0.8, 2.5)
        replica.send_signal(signal.SIGCONT)

    def kill_replica(self) -> None:
        replica = self.replica()
        replica.end()
        self.wait(0.1, 0.8, 2.5)
        self.volume.restart(replica.name)

    def kill_both(self) -> None:
        names = list(self.volume.nodes)
        self.random.shuffle(names)
        for name in names:
            self.volume.nodes[name].end()
        for name in names:
            self.volume.restart(name)

    def no_service(self) -> None:
        self.volume.obeys = self.random.choice(("refuses", "silent"))
        self.kill_replica()
        self.volume.obeys = "yes"

    def successor(self) -> str | None:
        """In sync; None: nobody else is."""
        with self.volume.changed:
            others = sorted(self.volume.record.in_sync - {self.volume.record.primary})
            return self.random.choice(others) if others else None

    def replica(self) -> Node:
        """Any."""
        primary = self.volume.record.primary
        return self.random.choice([n for n in self.volume.nodes.values() if n.name != primary])

    def wait(self, *seconds: float) -> None:
        """One of these: as long as it takes, or not, to be found missing."""
        lasts = self.random.choice(seconds)
        self.done[-1] += f" {lasts:g} s"
        threading.Event().wait(lasts)
