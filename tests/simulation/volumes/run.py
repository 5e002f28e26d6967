"""One seed: trouble, then quiet, then the reckoning."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.replica import Replica
from tests.simulation.volumes.history import Violation
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
        world.loop.run(TROUBLE)
        world.client.busy = False
        world.settle()
    except Violation as broken:
        violation = f"{world.loop.now:.3f}: {broken}"
    return Result(seed, violation, world.figures, world.tape)


def _trouble(world: World, random: Random) -> None:
    world.loop.at(random.uniform(0.3, 0.9), lambda: None)
    now = random.uniform(0.2, 0.8)
    while now < TROUBLE:
        kind = random.choice(_KINDS)
        world.loop.at(now, lambda kind=kind: kind(world, random))  # type: ignore[misc]
        now += random.expovariate(2.5)


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
    world.move()


def _lose_lease(world: World, random: Random) -> None:
    name = world.service.record.primary
    world.count("lease")
    world.deaf.add(name)
    world.loop.at(random.choice((0.5, 1.5)), lambda: world.deaf.discard(name))


def _fall_back(world: World, random: Random) -> None:
    """The primary dies while somebody resyncs, and the operator wants the last consistent state."""
    found = [
        m
        for m in world.machines.values()
        if isinstance(m.process, Replica) and m.disk is not None and m.disk.superblock.resyncing
    ]
    record = world.service.record
    found = [m for m in found if m.name not in record.in_sync | record.following]
    if found:
        machine = random.choice(found)
        machine.guard(machine.fall_back)


def _watch_fall_back(world: World, random: Random) -> None:
    """Whenever a resync is seen soon, it is undone."""

    def look(left: int) -> None:
        before = world.figures["fallback"]
        _fall_back(world, random)
        if left and world.figures["fallback"] == before:
            world.loop.at(0.003, lambda: look(left - 1))

    look(150)


_KINDS = (
    _crash, _crash, _crash, _die, _die, _break, _break, _cut, _stall, _move, _lose_lease,
    _watch_fall_back,
)  # fmt: skip


def leads(world: World, name: str) -> bool:
    """Whether a machine's process is a primary."""
    return isinstance(world.machines[name].process, Primary)
