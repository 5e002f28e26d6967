"""The record, and the services that compare-and-set it: late, refusing, stalled, not answering.

What they write is what the real ones write: `replicated.transitions`.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.replicated import membership, transitions
from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from tests.simulation.volumes.machine import Machine
    from tests.simulation.volumes.world import World


class Service:
    """Does what it is asked in the order of asking, also after the process that asked died."""

    def __init__(self, world: "World", record: VolumeRecord) -> None:
        self.world, self.record = world, record
        self.stalled_until = 0.0
        self.trouble = True
        self._ready: dict[str, float] = {}

    def ask(self, machine: "Machine", member: str, counts: bool, ticket: int) -> None:
        """Answered perhaps."""
        loop, random = self.world.loop, self.world.loop.random
        machine.power.step()
        epoch, life = machine.process_epoch(), machine.power.life
        start = max(loop.now, self.stalled_until, self._ready.get(machine.name, 0.0))
        self._ready[machine.name] = start + random.choice((0.002, 0.01, 0.2))
        mute = self.trouble and random.random() < 0.05
        deaf = self.trouble and random.random() < 0.1

        def carry_out() -> None:
            done = not deaf and self._set(machine.name, epoch, member, counts)

            def answer() -> None:
                primary = machine.process
                if life != machine.power.life or not isinstance(primary, Primary) or mute:
                    return
                members = primary.members
                if done:
                    machine.guard(lambda: members.agreed(member, counts, ticket))
                else:
                    machine.guard(lambda: members.refused(member, ticket, "not now"))

            loop.at(0.001, answer)

        loop.at(self._ready[machine.name] - loop.now, carry_out)

    def change(
        self,
        machine: "Machine",
        change: Callable[[VolumeRecord], VolumeRecord],
        then: Callable[[], None],
    ) -> None:
        """What an operator wants of it; perhaps nobody hears that it was done."""
        loop, random = self.world.loop, self.world.loop.random
        start = max(loop.now, self.stalled_until, self._ready.get(machine.name, 0.0))
        self._ready[machine.name] = start + random.choice((0.002, 0.01, 0.2))

        def write() -> None:
            with contextlib.suppress(transitions.ChangeRefused):
                self.record = change(self.record)
                self.world.note(f"record: members {sorted(self.record.members)}")
                then()

        loop.at(self._ready[machine.name] - loop.now, write)

    def resize(self, machine: "Machine", size: int) -> None:
        """It has grown."""
        epoch = machine.process_epoch()
        self.change(
            machine,
            lambda record: membership.resize(record, machine.name, epoch, size),
            lambda: None,
        )

    def fence(self, machine: "Machine", then: Callable[[], None]) -> None:
        """Write the record for who goes on: nothing that was asked for before can be done any
        more."""
        loop = self.world.loop
        start = max(loop.now, self.stalled_until, self._ready.get(machine.name, 0.0))
        self._ready[machine.name] = start + 0.002

        def write() -> None:
            record, asynchronous = self.record, self.world.asynchronous
            if record.primary == machine.name:
                self.record = transitions.promote(
                    record, machine.name, record.epoch, set(), "", asynchronous=asynchronous
                ).record
            then()

        machine.later(self._ready[machine.name] - loop.now, write)

    def complete(self, machine: "Machine", members: list[str]) -> None:
        """It has stopped, and these have all. Perhaps nobody writes that."""
        loop, random, epoch = self.world.loop, self.world.loop.random, machine.process_epoch()
        start = max(loop.now, self.stalled_until, self._ready.get(machine.name, 0.0))
        self._ready[machine.name] = start + random.choice((0.002, 0.01, 0.2))

        def write() -> None:
            with contextlib.suppress(transitions.ChangeRefused):
                self.record = transitions.complete(self.record, machine.name, epoch, members)
                self.world.note(f"record: {members} complete")
                self.world.count("complete")

        if random.random() < 0.8:
            loop.at(self._ready[machine.name] - loop.now, write)

    def _set(self, name: str, epoch: int, member: str, counts: bool) -> bool:
        asynchronous = self.world.asynchronous
        try:
            if counts:
                self.record = transitions.take_in(
                    self.record, name, epoch, member, asynchronous=asynchronous
                )
            else:
                self.record = transitions.take_out(self.record, name, epoch, member)
        except transitions.ChangeRefused:
            return False
        self.world.note(f"record: {member} {'counts' if counts else 'out'}")
        self.world.count("joined" if counts else "taken out")
        return True
