"""What a read finds of writes that were taken and are not applied yet."""

import errno
from collections.abc import Callable
from functools import partial

import pytest

from holdfast.storage_replication.engine.coming import LEAST, Coming
from holdfast.storage_replication.engine.held import MOST_FLUSHES
from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.machine import GEOMETRY
from tests.simulation.volumes.world import SIZE, World
from tests.support.volume_world import quiet

MIB = 1 << 20


def blocked() -> tuple[World, Primary]:
    """A member is away, and the record cannot be changed: writes wait, reads go on."""
    world, leader = quiet()
    world.service.stalled_until = world.loop.now + 10.0
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 3 * world.settings.member_timeout)
    assert leader.counting.blocked
    return world, leader


def test_nobody_reads_what_a_write_of_before_will_change() -> None:
    """Its sender may be gone; to whoever comes next it has happened, or never will."""
    world, leader = blocked()
    told: list[int] = []
    read: list[bytes] = []
    leader.write(0, b"n" * SECTOR, False, told.append)
    leader.read(0, SECTOR, lambda _error, data: read.append(bytes(data)))
    world.loop.run(world.loop.now + 1.0)
    assert (told, read) == ([], [])
    other: list[int] = []
    leader.read(SECTOR, SECTOR, lambda error, _: other.append(error))
    assert other == [0], "reads of anything else go on"
    world.loop.run(world.service.stalled_until + 3.0)
    assert (told, read) == ([0], [b"n" * SECTOR])


def test_a_read_waits_for_a_write_that_waits_for_its_extent() -> None:
    world, leader = quiet()
    active = leader.disk.activity.active
    extent = next(n for n in range(SIZE // GEOMETRY.extent) if n not in active)
    offset, read = extent * GEOMETRY.extent, list[bytes]()
    leader.write(offset, b"x" * SECTOR, False, lambda _: None)
    leader.read(offset, SECTOR, lambda _error, data: read.append(bytes(data)))
    assert read == []
    world.loop.run(world.loop.now + 1.0)
    assert read == [b"x" * SECTOR]


@pytest.mark.parametrize("ends", [Primary.close, lambda leader: leader.disk.fail(errno.EIO)])
def test_all_that_waits_is_told_of_the_end(ends: Callable[[Primary], None]) -> None:
    _, leader = blocked()
    told: list[int] = []
    leader.write(0, b"w" * SECTOR, False, told.append)
    leader.zero(0, SIZE, True, True, told.append)
    leader.flush(told.append)
    leader.read(0, SECTOR, lambda error, _: told.append(error))
    assert told == []
    ends(leader)
    assert len(told) == 4
    assert set(told) in ({errno.ESHUTDOWN}, {errno.EIO})


def read_now(leader: Primary, offset: int) -> bytes:
    read: list[bytes] = []
    leader.read(offset, SECTOR, lambda _error, data: read.append(bytes(data)))
    assert len(read) == 1
    return read[0]


def test_a_write_does_not_overtake_an_older_one_that_waits_for_an_extent() -> None:
    """The sender of that is gone, and what is written over it on another connection stays."""
    world, leader = quiet()
    active = leader.disk.activity.active
    extent = next(n for n in range(SIZE // GEOMETRY.extent - 1) if n + 1 not in active)
    leader.write(extent * GEOMETRY.extent, b"0" * SECTOR, False, lambda _: None)
    world.loop.run(world.loop.now + 0.5)
    assert (extent in active, extent + 1 in active) == (True, False)
    told: list[str] = []
    offset = (extent + 1) * GEOMETRY.extent - SECTOR
    leader.write(offset, b"1" * 2 * SECTOR, False, lambda _: told.append("old"))
    leader.write(offset, b"2" * SECTOR, False, lambda _: told.append("new"))
    leader.zero(offset + SECTOR, SECTOR, False, False, lambda _: told.append("zero"))
    world.loop.run(world.loop.now + 1.0)
    assert told == ["old", "new", "zero"]
    assert read_now(leader, offset) == b"2" * SECTOR
    assert read_now(leader, offset + SECTOR) == bytes(SECTOR)


def test_a_write_keeps_its_place_when_it_is_shut_out_again() -> None:
    world, leader = quiet()
    active = leader.disk.activity.active
    extent = next(n for n in range(SIZE // GEOMETRY.extent) if n not in active)
    told: list[str] = []
    world.service.stalled_until = world.loop.now + 10.0
    world.cuts.add(frozenset({"a", "b"}))
    offset = extent * GEOMETRY.extent
    leader.write(offset, b"1" * SECTOR, False, lambda _: told.append("old"))
    leader.members.lose(leader.members.peers["b"], "its connection is lost")
    leader.write(offset, b"2" * SECTOR, False, lambda _: told.append("new"))
    world.loop.run(world.service.stalled_until + 4.0)
    assert told == ["old", "new"]
    assert read_now(leader, offset) == b"2" * SECTOR


def test_however_many_wait_for_one_write_they_follow_it_in_order() -> None:
    world, leader = quiet()
    active = leader.disk.activity.active
    extent = next(n for n in range(SIZE // GEOMETRY.extent) if n not in active)
    told: list[int] = []
    count = 500  # deeper than any stack, if each went on from the one before it
    for number in range(count):
        content = number.to_bytes(4, "big") * (SECTOR // 4)
        done = partial(lambda number, _: told.append(number), number)
        leader.write(extent * GEOMETRY.extent, content, False, done)
    world.loop.run(world.loop.now + 5.0)
    assert told == list(range(count))
    assert read_now(leader, extent * GEOMETRY.extent)[:4] == (count - 1).to_bytes(4, "big")


def test_flushes_that_wait_are_bounded_too() -> None:
    """Clients that come, flush and go leave theirs behind while writes are frozen."""
    world, leader = blocked()
    told: list[int] = []
    most = MOST_FLUSHES
    for _ in range(most + 1):
        leader.flush(told.append)
    assert told == [errno.ENOBUFS]
    world.loop.run(world.service.stalled_until + 3.0)
    assert told == [errno.ENOBUFS, *[0] * most]


def test_what_waits_is_bounded() -> None:
    coming = Coming(3 * LEAST)
    first, second = coming.enter(0, 10, 0), coming.enter(MIB - 1, 2, 2 * LEAST)
    assert first
    assert second
    assert coming.enter(0, 1, 0) == 0
    coming.leave(first)
    assert coming.enter(5 * MIB, 4 * MIB, LEAST)


def test_a_range_is_exact() -> None:
    coming = Coming(MIB)
    number = coming.enter(MIB - 1, 2 * MIB, 0)
    for offset, length, over in (
        (0, MIB - 1, False),
        (0, MIB, True),
        (2 * MIB, 1, True),
        (3 * MIB - 1, 1, False),
        (3 * MIB - 2, 100 * MIB, True),
    ):
        assert coming.over(offset, length) is over, (offset, length)
    coming.leave(number)
    assert not coming.over(0, 100 * MIB)
