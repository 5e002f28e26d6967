"""What may happen to the network between members, each in a namespace of its own.

Packets are dropped, so nobody is told that a connection is gone. Clients and services reach every
member by its unix sockets all the time, but for a host that is cut off as a whole.
"""

import contextlib
from collections.abc import Iterator
from random import Random

import pytest

from tests.support.lab import Lab
from tests.support.nbd_client import Client
from tests.support.replicated import Volume
from tests.volumes.faults import Fault, Faults
from tests.volumes.registers import PATIENCE, QUIET, Clients

LASTS = (0.3, 1.0, 2.5, 4.0)
"""Seconds of a cut: two below the member timeout of 1.5 s, and two above it."""
LOSSES = (5, 15, 30)
"""Per cent of all frames."""
FLAPS = (0.2, 0.5, 1.0, 2.0)
"""Seconds for which a link is, in turn, cut and whole."""


class Partitions(Faults):
    """Faults of processes, and those of the network."""

    def __init__(self, volume: Volume, clients: Clients, random: Random, lab: Lab) -> None:
        super().__init__(volume, clients, random)
        self.lab = lab

    def kinds(self) -> tuple[Fault, ...]:
        """All that may be drawn."""
        return (
            *super().kinds(),
            self.cut_link, self.cut_one_way, self.lossy_network, self.flapping_link,
            self.strike_behind_a_cut, self.strand_behind_a_cut, self.cut_off_primary,
            self.cut_off_primary, self.isolate,
        )  # fmt: skip

    def cut_link(self) -> None:
        with self._healed():
            self._cut(*self._pair())
            self.wait(*LASTS)

    def cut_one_way(self) -> None:
        with self._healed():
            self.lab.sever(*self._pair())
            self.wait(*LASTS)

    def lossy_network(self) -> None:
        with self._healed():
            self.lab.lose(self.random.choice(LOSSES))
            self.wait(1.0, 4.0)

    def flapping_link(self) -> None:
        one, other = self._pair()
        for _ in range(self.random.choice((3, 6))):
            with self._healed():
                self._cut(one, other)
                self.wait(*FLAPS)
            self.wait(*FLAPS)

    def strike_behind_a_cut(self) -> None:
        """A process dies, stalls or changes its role, and the cut has not been found, or has."""
        with self._healed():
            self._cut(*self._pair())
            self.wait(*LASTS)
            fault = self.random.choice(super().kinds())
            self.done[-1] += f" ({fault.__name__})"
            fault()

    def strand_behind_a_cut(self) -> None:
        """As `strand_replica`: nothing is acknowledged without a member that the record counts."""
        old, replica = self.volume.primary, self.replica()
        self.volume.obeys = "silent"
        with self._healed():
            self._cut(old.name, replica.name)
            self.wait(*LASTS)
            old.end()
        self.volume.obeys = "yes"
        if replica.name in self.volume.record.in_sync:
            self.volume.fail_over(replica.name)
        self.volume.restart(old.name)

    def isolate(self) -> None:
        """One member from all others, which hear each other; its service goes on."""
        name = self.random.choice(list(self.volume.nodes))
        side = "primary" if name == self.volume.record.primary else "replica"
        self.done[-1] += f" ({side} of {len(self.volume.nodes)})"
        with self._healed():
            self.lab.isolate(name)
            self.wait(*LASTS)

    def cut_off_primary(self) -> None:
        """As a host that hears nobody at all. Another is promoted; the old one, which clients go on
        asking, answers nothing that was asked after its lease (V7)."""
        old, new = self.volume.primary, self.successor()
        with self._healed(), Client(old.nbd, deadline=PATIENCE) as late:
            with self.volume.changed:
                self.volume.deaf.add(old.name)
            self.lab.isolate(old.name)
            self.wait(*LASTS)
            if new is None:
                self.done[-1] += " (nobody else is in sync)"
            else:
                self.volume.fail_over(new)
                ended = self.volume.lease[old.name]
                self.clients.acknowledge(20)
                with pytest.raises(TimeoutError):
                    self.clients.read(old.name, late, QUIET)
                assert self.clients.asked[old.name] > ended
                assert self.clients.answered[old.name] <= ended, "a stale answer"
        self.volume.deaf.discard(old.name)

    def _pair(self) -> tuple[str, str]:
        one, other = self.random.sample(list(self.volume.nodes), 2)
        return one, other

    def _cut(self, one: str, other: str) -> None:
        self.lab.sever(one, other)
        self.lab.sever(other, one)

    @contextlib.contextmanager
    def _healed(self) -> Iterator[None]:
        """Afterwards, whatever happens."""
        try:
            yield
        finally:
            self.lab.heal()
