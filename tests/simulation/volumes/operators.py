"""What operators do to a volume in use, in the midst of all trouble; and sectors that go bad."""

import contextlib
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from holdfast.storage_replication.engine.changes import ChangeRefused, Growth, add_member, repair
from holdfast.storage_replication.engine.peer import Phase
from holdfast.storage_replication.engine.ports import Differences
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.replicated import membership
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.machine import TICK, Machine

if TYPE_CHECKING:
    from tests.simulation.volumes.world import World

LARGEST = 256 << 10


def operate(world: "World", random: Random, trouble: float) -> None:
    """In some worlds, a few things within so many seconds."""
    if random.random() < 0.5:
        return
    for _ in range(random.choice((1, 2, 4))):
        kind = random.choice(_KINDS)
        world.loop.at(random.uniform(0.2, trouble), lambda kind=kind: kind(world, random))  # type: ignore[misc]


def _grow(world: "World", random: Random) -> None:
    leader = world.leader
    if leader is None:
        return
    machine = world.machines[leader.disk.superblock.member]
    size = leader.size + random.choice((SECTOR, 8 << 10, 40 << 10))
    if size > LARGEST or (machine.growth is not None and not machine.growth.ended):
        return

    def ended(error: int) -> None:
        if not error:
            world.count("grown")
            world.service.resize(machine, size)

    growth = machine.growth = Growth(leader, size, machine.enlarge, ended)
    world.note(f"{machine.name} grows to {size}")

    def tick() -> None:
        if machine.process is leader and not growth.ended:
            growth.tick()
            machine.later(TICK, tick)

    machine.later(0.0, tick)


def _verify(world: "World", random: Random) -> None:
    """Perhaps with a repair of what was found, and of what was not: that changes nothing."""

    def attempt() -> bool:
        leader = world.leader
        if leader is None:
            return False
        machine = world.machines[leader.disk.superblock.member]
        whole = [p.name for p in leader.members.peers.values() if p.phase is Phase.STREAMING]
        if not whole or not leader.upkeep.verify(random.choice(whole)):
            return False
        world.count("verify")
        if random.random() < 0.5:
            start = random.randrange(leader.size // SECTOR) * SECTOR
            machine.repairing = start, min(9 * SECTOR, leader.size - start)
        return True

    _patiently(world, attempt)


def _patiently(world: "World", attempt: Callable[[], bool], left: int = 60) -> None:
    """An operator tries again, until trouble is over."""
    if not world.calm and left and not attempt():
        world.loop.at(0.05, lambda: _patiently(world, attempt, left - 1))


def verified(world: "World", machine: Machine, found: Differences) -> None:
    """A verify has ended."""
    if world.sound:
        world.check(not found.ranges, f"V1: {found.member} differs at {found.ranges}")
        world.check(not found.unreadable, "a sound disk cannot be read")
    if machine.repairing is None:
        return
    extra, machine.repairing = machine.repairing, None

    def mend() -> None:
        leader = machine.process
        if isinstance(leader, Primary) and found.member in leader.members.peers:
            with contextlib.suppress(ChangeRefused, OSError):
                repair(leader, found.member, [*found.ranges, extra])
                world.count("repair")

    machine.later(0.0, mend)


def _members(world: "World", random: Random) -> None:
    """One goes, and comes back, with an empty memory and whatever is on its disk."""
    chosen = random.choice(sorted(world.machines))

    def remove() -> bool:
        leader, other = world.leader, world.machines[chosen]
        if leader is None or leader.disk.superblock.member == chosen:
            return False
        if chosen in world.service.record.members:
            _remove(world, world.machines[leader.disk.superblock.member], other)
        return True

    def add() -> bool:
        leader, other = world.leader, world.machines[chosen]
        if leader is None or leader.disk.superblock.member == chosen or other.member:
            return False
        _add(world, leader, world.machines[leader.disk.superblock.member], other)
        return True

    _patiently(world, remove)
    world.loop.at(random.choice((0.3, 0.8, 2.0)), lambda: _patiently(world, add))


def _remove(world: "World", machine: Machine, other: Machine) -> None:
    epoch = machine.process_epoch()

    def leave() -> None:
        leader = machine.process
        if isinstance(leader, Primary):
            leader.members.leave(other.name)

    def removed() -> None:
        world.count("removed")
        world.loop.at(world.loop.random.choice((0.001, 0.3)), other.expel)
        machine.guard(leave)

    world.service.change(
        machine,
        lambda record: membership.remove_member(record, machine.name, epoch, other.name),
        removed,
    )


def _add(world: "World", leader: Primary, machine: Machine, other: Machine) -> None:
    epoch = machine.process_epoch()

    def mapped(error: int) -> None:
        if not error:
            world.service.change(
                machine,
                lambda record: membership.add_member(record, machine.name, epoch, other.name),
                added,
            )

    def added() -> None:
        world.count("added")
        if not other.member:
            other.join(world.service.record.size)

    def add() -> None:
        with contextlib.suppress(ChangeRefused, OSError):
            add_member(
                leader, world.settings, other.name, asynchronous=world.asynchronous, done=mapped
            )

    machine.guard(add)


def _spoil(world: "World", random: Random) -> None:
    """Some sectors of a disk cannot be read, until they are written, or for a while."""
    machine = world.machines[random.choice(sorted(world.machines))]
    world.sound = False
    world.count("bad sectors")
    for _ in range(random.choice((1, 3))):
        machine.data.bad.add(random.randrange(machine.data.size // SECTOR) * SECTOR)
    world.note(f"{machine.name} cannot read {sorted(machine.data.bad)}")
    if random.random() < 0.5:
        world.loop.at(random.choice((0.3, 1.5)), machine.data.bad.clear)


_KINDS = (_grow, _grow, _verify, _verify, _members, _members, _spoil)
