"""One seed: trouble, then quiet, then the reckoning."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from holdfast.storage_replication.engine.replica import Replica
from tests.simulation.volumes.history import Violation
from tests.simulation.volumes.machine import Machine
from tests.simulation.volumes.operators import operate
from tests.simulation.volumes.reckoning import settle
from tests.simulation.volumes.world import World

TROUBLE = 4.0


@dataclass
class Result:
    """Of one seed; `violation` is empty if all promises held."""

    seed: int
    violation: str
    figures: Counter[str]
    tape: list[str]


def run(seed: int) -> Result:
    """The whole history of a seed."""
    world = World(seed)
    violation = ""
    try:
        _trouble(world, Random(f"{seed} trouble"))
        _faults(world, Random(f"{seed} faults"))
        operate(world, Random(f"{seed} operations"), TROUBLE)
        _switches(world, Random(f"{seed} switches"))
        world.loop.run(TROUBLE)
        world.client.busy = False
        settle(world)
    except Violation as broken:
        violation = f"{world.loop.now:.3f}: {broken}"
    return Result(seed, violation, world.figures, world.tape)


def _trouble(world: World, random: Random) -> None:
    now = random.uniform(0.2, 0.8)
    while now < TROUBLE:
        kind = random.choice(_KINDS)
        world.loop.at(now, lambda kind=kind: kind(world, random))  # type: ignore[misc]
        now += random.expovariate(2.5)


def _faults(world: World, random: Random) -> None:
    """In some worlds disks fail, too: the next read, write or sync, or one soon after."""
    if random.random() < 0.7:
        return
    for _ in range(random.choice((1, 2, 4))):
        machine, count = random.choice(list(world.machines.values())), random.choice((1, 2, 5, 20))

        def fail(machine: Machine = machine, count: int = count) -> None:
            if machine.disk is not None:
                world.sound = False
                world.count("disk error")
                machine.power.fault = count

        world.loop.at(random.uniform(0.2, TROUBLE), fail)


def _switches(world: World, random: Random) -> None:
    """Orderly moves of asynchronous volumes, some of them into trouble."""
    for _ in range(random.choice((0, 1, 3)) if world.asynchronous else 0):
        world.loop.at(random.uniform(0.2, TROUBLE), world.decider.switch)


def _crash(world: World, random: Random) -> None:
    """One or all, at some step soon: in the middle of whatever it does."""
    chosen = list(world.machines.values())
    if random.random() < 0.8:
        chosen = [random.choice(chosen)]
    for machine in chosen:
        if machine.process is not None:
            machine.power.fuse = random.choice((1, 2, 3, 5, 8, 13, 40))


def _die(world: World, random: Random) -> None:
    chosen = list(world.machines.values())
    if random.random() < 0.7:
        chosen = [random.choice(chosen)]
    power = random.random() < 0.6
    for machine in chosen:
        if machine.process is not None:
            machine.die(power)


def _break(world: World, random: Random) -> None:
    ends = [e for m in world.machines.values() for e in m.ends if e.alive]
    if ends:
        world.count("link broken")
        random.choice(ends).close()


def _cut(world: World, random: Random) -> None:
    names = sorted(world.machines)
    pair = frozenset(random.sample(names, 2))
    world.cuts.add(pair)
    world.count("cut")
    world.note(f"cut {sorted(pair)}")
    world.loop.at(random.choice((0.1, 0.7, 2.0)), lambda: world.cuts.discard(pair))


def _stall(world: World, random: Random) -> None:
    world.count("stall")
    world.service.stalled_until = world.loop.now + random.choice((0.2, 1.0))


def _move(world: World, random: Random) -> None:
    world.count("move")
    world.decider.move()


def _lose_lease(world: World, random: Random) -> None:
    name = str(world.service.record.primary)
    world.count("lease")
    world.deaf.add(name)
    world.loop.at(random.choice((0.5, 1.5)), lambda: world.deaf.discard(name))


def _fall_back(world: World, random: Random) -> None:
    """The primary dies in a resync; an operator wants the last consistent state of the other."""

    def look(left: int) -> None:
        resyncing = [
            m
            for m in world.machines.values()
            if isinstance(m.process, Replica) and m.disk is not None and m.disk.undo is not None
        ]
        resyncing = [m for m in resyncing if m.disk and m.disk.undo and m.disk.undo.saved]
        leader = world.machines[str(world.service.record.primary)]
        if resyncing and leader.process is not None:
            leader.die(random.random() < 0.5)
            world.decider.move(2.0, random.choice(resyncing))
            if random.random() < 0.5:
                resyncing[0].die(True)
        elif left and not world.calm:
            world.loop.at(0.003, lambda: look(left - 1))

    look(200)


def _twice(world: World, random: Random) -> None:
    """The primary's process dies in a lonely hour, comes back, and its machine dies for longer."""
    name = str(world.service.record.primary)
    pairs = {frozenset((name, other)) for other in world.machines if other != name}
    world.cuts |= pairs
    world.service.stalled_until = world.loop.now + 2.0
    world.count("twice")

    def die(power: bool) -> None:
        machine = world.machines[name]
        if machine.process is not None and not world.calm:
            machine.die(power)
            if power:
                world.cuts.difference_update(pairs)
                world.decider.move(1.0)

    world.loop.at(random.uniform(0.005, 0.05), lambda: die(False))
    world.loop.at(random.uniform(0.5, 0.9), lambda: die(True))


_KINDS = (
    _crash, _crash, _crash, _die, _die, _break, _break, _cut, _stall, _move, _lose_lease,
    _fall_back, _twice,
)  # fmt: skip
