"""Places of a disk that cannot be read: they cost what they held, and no copy besides."""

import errno

import pytest

from holdfast.storage_replication.engine.peer import Phase
from holdfast.storage_replication.engine.ports import (
    DiskFailed,
    FallbackLost,
    MemberRefused,
    Thawed,
)
from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.machine import GEOMETRY
from tests.simulation.volumes.world import World
from tests.support.volume_world import quiet

CHUNK = GEOMETRY.chunk
AT = 3 * CHUNK


def failed(world: World) -> list[DiskFailed]:
    return [event for event in world.reports if isinstance(event, DiskFailed)]


def written(world: World, leader: Primary, offset: int, data: bytes) -> int:
    """The answer to a write, once there is one."""
    answers: list[int] = []
    leader.write(offset, data, False, answers.append)
    world.loop.run(world.loop.now + 2.0)
    (answer,) = answers
    return answer


def read(leader: Primary, offset: int, length: int) -> tuple[int, bytes]:
    answers: list[tuple[int, bytes]] = []
    leader.read(offset, length, lambda error, data: answers.append((error, bytes(data))))
    (answer,) = answers
    return answer


def same(world: World) -> None:
    """Both are in sync again, and hold the same."""
    world.loop.run(world.loop.now + 20.0)
    assert world.service.record.in_sync == ["a", "b"]
    memories = {bytes(machine.data.memory) for machine in world.machines.values()}
    assert len(memories) == 1


def alone_with_a_bad_sector() -> tuple[World, Primary]:
    """b was away while all was written; what the primary has of it is the last copy."""
    world, leader = quiet()
    b = world.machines["b"]
    b.die(True)
    world.cuts.add(frozenset({"a", "b"}))
    for chunk in range(8):
        assert written(world, leader, chunk * CHUNK, bytes([chunk + 1]) * CHUNK) == 0
    assert world.service.record.in_sync == ["a"]
    world.machines["a"].data.bad.add(AT + SECTOR)
    world.reports.clear()
    world.cuts.clear()
    world.loop.run(world.loop.now + 5.0)
    return world, leader


def test_a_bad_sector_of_the_last_copy_costs_no_more_than_what_it_held() -> None:
    world, leader = alone_with_a_bad_sector()
    peer = leader.members.peers["b"]
    assert failed(world) == []
    assert world.service.record.in_sync == ["a"]
    assert (peer.phase, peer.counts) == (Phase.RESYNCING, False)
    place = f"cannot read bytes {AT}+{CHUNK}"
    assert place in peer.refusal
    (told,) = [event for event in world.reports if isinstance(event, MemberRefused)]
    assert place in told.reason, "once, though it is tried again and again"
    assert read(leader, AT, CHUNK)[0] == errno.EIO
    assert read(leader, AT + CHUNK, 4) == (0, bytes([5]) * 4)
    assert written(world, leader, 5 * CHUNK, b"goes on " * 128) == 0
    there = bytes(world.machines["b"].data.memory)
    mine = bytes(world.machines["a"].data.memory)
    assert there[:AT] + there[AT + CHUNK :] == mine[:AT] + mine[AT + CHUNK :], "all else is there"


@pytest.mark.parametrize("cure", ["written anew", "readable again"])
def test_what_can_be_read_again_is_compared_again(cure: str) -> None:
    world, leader = alone_with_a_bad_sector()
    if cure == "written anew":
        assert written(world, leader, AT, b"new " * (CHUNK // 4)) == 0
    else:
        world.machines["a"].data.bad.clear()
    same(world)
    assert leader.members.peers["b"].refusal == ""
    assert failed(world) == []


def test_what_was_set_aside_is_not_forgotten_with_the_connection() -> None:
    """Nor by a checkpoint that came meanwhile."""
    world, leader = alone_with_a_bad_sector()
    peer = leader.members.peers["b"]
    assert peer.dirty.test(AT // CHUNK)
    assert peer.link is not None
    peer.link.close()
    leader.link_down("b", peer.link)
    world.loop.run(world.loop.now + 5.0)
    assert peer.dirty.test(AT // CHUNK)
    assert (peer.phase, peer.counts) == (Phase.RESYNCING, False)
    world.machines["a"].data.bad.clear()
    same(world)


def test_a_member_that_counts_is_taken_out_if_it_cannot_be_compared() -> None:
    """It would freeze the volume, perhaps for good; it keeps what it has of that place."""
    world, leader = quiet()
    a, b = world.machines["a"], world.machines["b"]
    for chunk in range(8):
        assert written(world, leader, chunk * CHUNK, bytes([chunk + 1]) * CHUNK) == 0
    answers: list[int] = []
    leader.write(AT - CHUNK, b"active" * 512, False, answers.append)
    world.loop.run(world.loop.now + 0.1)
    assert answers == [0]
    assert AT // GEOMETRY.extent in leader.disk.activity.active
    a.data.bad.add(AT)
    b.die(False)
    world.reports.clear()
    for _ in range(1000):
        if not leader.counting.blocked:
            world.loop.run(world.loop.now + 0.01)
    world.loop.run(world.loop.now + 10.0)
    assert failed(world) == []
    assert world.service.record.in_sync == ["a"]
    assert any(isinstance(event, Thawed) for event in world.reports)
    assert leader.members.peers["b"].phase is Phase.RESYNCING
    assert bytes(b.data.memory[AT : AT + CHUNK]) == bytes([4]) * CHUNK
    assert written(world, leader, 0, b"goes on " * 128) == 0
    a.data.bad.clear()
    same(world)


def test_a_bad_sector_of_a_member_is_overwritten_by_its_resync() -> None:
    world, leader = quiet()
    b = world.machines["b"]
    b.die(True)
    world.cuts.add(frozenset({"a", "b"}))
    assert written(world, leader, AT, b"new " * (CHUNK // 4)) == 0
    b.data.bad |= {AT, AT + SECTOR}
    world.reports.clear()
    world.cuts.clear()
    same(world)
    assert failed(world) == []
    assert b.data.bad == set()
    assert [e for e in world.reports if isinstance(e, FallbackLost)], "what was there is gone"
