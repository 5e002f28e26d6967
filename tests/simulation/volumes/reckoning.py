"""When all trouble is over."""

from holdfast.storage_replication.engine.peer import Phase
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.world import World


def settle(world: World) -> None:
    """All trouble is over: everybody comes back, catches up, and is the same."""
    world.cuts.clear()
    world.deaf.clear()
    world.calm, world.service.trouble, world.service.stalled_until = True, False, 0.0
    for machine in world.machines.values():
        machine.power.fuse = machine.power.fault = None
        machine.data.bad.clear()
    deadline = world.loop.now + 60.0
    while not _settled(world):
        world.check(world.loop.now < deadline, f"does not settle: {_standing(world)}")
        world.loop.run(world.loop.now + 0.5)
        if world.leader is None and not world.moving:
            world.decider.move(0.5)
    world.note("settled")
    _compare(world)


def _settled(world: World) -> bool:
    leader = world.leader
    return (
        leader is not None
        and not world.moving
        and all(
            peer.phase is Phase.STREAMING and peer.counts and peer.asked is None
            for peer in leader.members.peers.values()
        )
        and not world.client.open
        and all(m.disk is not None and not m.disk.failed for m in world.members)
        and leader.members.peers.keys() | {leader.disk.superblock.member}
        == world.service.record.members.keys()
        and all(m.growth is None or m.growth.ended for m in world.members)
    )


def _standing(world: World) -> str:
    leader = world.leader
    if leader is None:
        return f"nobody leads, {world.service.record}"
    peers = [(p.name, p.phase.value, p.counts, p.asked) for p in leader.members.peers.values()]
    return f"{peers}, {len(world.client.open)} requests, {world.service.record}"


def _compare(world: World) -> None:
    """Members are the same, durably, and have what was promised."""
    leader = world.leader
    ended: list[int] = []
    assert leader is not None
    leader.flush(ended.append)
    world.loop.run(world.loop.now + 2.0)
    world.check(ended == [0], "the last flush is not answered")
    size = leader.size
    known = {machine.name: machine for machine in world.members}
    for machine in known.values():
        assert machine.disk is not None
        world.check(machine.disk.superblock.size == size, f"{machine.name} has another size")
    datas = {name: bytes(machine.data.memory[:size]) for name, machine in known.items()}
    first = datas[str(world.service.record.primary)]
    for name, data in datas.items():
        at = next(
            (
                i
                for i in range(0, len(first), SECTOR)
                if first[i : i + SECTOR] != data[i : i + SECTOR]
            ),
            None,
        )
        world.check(
            at is None,
            f"{name} differs from the primary at sector {at and at // SECTOR}, settled",
        )
        durable = world.machines[name].data.durable()[:size]
        world.check(world.asynchronous or durable == data, f"{name} has not made all durable")
    world.history.grow(size // SECTOR)
    world.history.read("at the end", 0, first)
