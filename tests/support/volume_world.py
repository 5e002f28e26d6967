"""A volume of the crash tester without trouble, to see one thing happen."""

from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.volumes.reckoning import settle
from tests.simulation.volumes.world import World


def quiet(seed: int = 1, members: int = 2) -> tuple[World, Primary]:
    """A synchronous volume whose members are all in sync, with some data; no trouble."""
    seed = next(
        s for s in range(seed, 1000)
        if len(World(s).machines) == members and not World(s).asynchronous
    )  # fmt: skip
    world = World(seed)
    world.service.trouble = world.sound = False  # a test may spoil a disk
    world.loop.run(3.0)
    world.client.busy = False
    settle(world)
    leader = world.leader
    assert leader is not None
    return world, leader
