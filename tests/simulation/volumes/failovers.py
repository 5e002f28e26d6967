"""Who becomes the primary next."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.replicated import transitions
from holdfast.volumes import VolumeRecord
from tests.simulation.volumes.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.volumes.world import World

LEASE = 1.0
AT = "2026-01-01T00:00:00Z"
"""Wall time, which stands still here: a word given is heeded at once."""


class Decider:
    """Moves the volume when it is told to."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def move(self, patience: float = 2.0, undo: Machine | None = None) -> None:
        """The decider gives the volume to another member, once the lease of the last is over.

        `undo`: an operator wants this one's last consistent state, if it is still in a resync.
        """
        world = self._world
        if world.moving:
            return
        world.moving = True
        world.note("the decider moves the volume")
        give_up = world.loop.now + patience

        def attempt() -> None:
            record = world.service.record
            chosen = None
            if world.loop.now >= world.lease.get(str(record.primary), 0.0):
                if undo is not None and self._undoable(undo):
                    self._hand_over(undo, True, True)
                    return
                chosen = self._choose(world.loop.now >= give_up)
            if chosen is None and len(record.members) == 1 and world.leader is not None:
                world.moving = False  # there is nobody else, and it lives
            elif chosen is None:
                world.loop.at(0.1, attempt)
            else:
                self._hand_over(*chosen)

        attempt()

    def _choose(self, hurried: bool) -> tuple[Machine, bool] | None:
        """In sync, and best with its memory; async ones only if loss is accepted."""
        world = self._world
        record = world.service.record
        ready = [
            m for m in world.machines.values()
            if isinstance(m.process, Replica) and m.disk is not None
        ]  # fmt: skip
        in_sync = [m for m in ready if m.name in record.in_sync]
        world.loop.random.shuffle(in_sync)
        intact = [m for m in in_sync if m.disk is not None and m.disk.superblock.intact]
        if intact:
            return intact[0], False
        lost = {m.name for m in in_sync}
        if in_sync and (hurried or lost == set(record.in_sync)):
            return in_sync[0], False
        following = [m for m in ready if m.name in record.following]
        if following and hurried:
            return following[0], True
        return None

    def _undoable(self, machine: Machine) -> bool:
        world = self._world
        record, disk = world.service.record, machine.disk
        return (
            isinstance(machine.process, Replica)
            and machine.name in record.members
            and disk is not None
            and disk.superblock.resyncing
            and disk.superblock.fallback
            and _may_fall_back(record, machine.name)
        )

    def _hand_over(self, machine: Machine, loss: bool, undo: bool = False) -> None:
        world = self._world
        record = world.service.record
        old = str(record.primary)
        if undo:
            stated = "all since then"
            record = transitions.accept_loss(record, machine.name, "operator", stated, at=AT)
        lag = "the bound" if loss else ""
        done = transitions.promote(
            record,
            machine.name,
            record.epoch + 1,
            self._present(),
            lag,
            asynchronous=world.asynchronous,
            at=AT,
        )
        new, kept_from = done.record, done.kept_from
        if record.epoch in world.undone:
            # The record goes on saying so until it is done: only this member is left in it.
            world.undone.discard(record.epoch)
            new, kept_from, undo = replace(new, loss="as before"), 0, True
        world.service.record = new
        if undo:
            world.undone.add(new.epoch)
        elif loss:
            self._check_loss(machine, world.machines[old])
        life = machine.power.life

        def act() -> None:
            world.moving = False
            world.lease[machine.name] = world.loop.now + LEASE
            if life == machine.power.life and machine.disk is not None:
                machine.guard(lambda: world.promote(machine, kept_from))

        world.loop.at(world.loop.random.choice((0.001, 0.3)), act)

        def tell() -> None:
            if world.machines[old].process is not None and world.service.record.primary != old:
                world.machines[old].guard(world.machines[old].demote)

        if old != machine.name:
            world.loop.at(world.loop.random.choice((0.01, 0.5, 3.0)), tell)

    def switch(self) -> None:
        """In order: the primary stops when all have everything, or after a while without; then
        there is proof that it did, and nobody waits for its lease."""
        world, primary = self._world, self._world.leader
        machine = world.machines[str(world.service.record.primary)]
        if primary is None or world.moving:
            return

        def stop(_error: int) -> None:
            if machine.process is not primary:
                return
            complete = primary.counting.complete()
            world.report_lag(machine, primary)
            machine.demote()
            world.service.complete(machine, complete)
            world.lease[machine.name] = world.loop.now
            world.loop.at(world.loop.random.choice((0.001, 0.3)), self.move)

        world.count("switch")
        machine.guard(lambda: primary.drain(stop))
        machine.later(world.loop.random.choice((0.0, 0.01, 0.3)), lambda: stop(0))

    def _present(self) -> set[str]:
        """Who answers just now: nobody who is dead, and perhaps not everybody who lives."""
        world = self._world
        return {
            machine.name
            for machine in world.machines.values()
            if machine.process is not None and world.loop.random.random() < 0.8
        }

    def _check_loss(self, machine: Machine, old: Machine) -> None:
        world = self._world
        reported = world.lag(old, machine.name) if old.process else world.reported[machine.name]
        size = world.accept(machine)
        world.note(f"{machine.name} lacks {size} bytes, {reported} were reported")
        assert machine.disk is not None
        if machine.disk.superblock.intact and isinstance(old.process, Primary | None):
            world.check(size <= reported, f"async: {size} bytes lost, {reported} were reported")


def _may_fall_back(record: VolumeRecord, node: str) -> bool:
    """Whether its service would be allowed to tell it."""
    try:
        transitions.fall_back(record, node)
    except transitions.ChangeRefused:
        return False
    return True
