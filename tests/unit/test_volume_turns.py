"""Zeroing is done in pieces, so that nobody waits long for a turn; the order of writes stays."""

import errno
from collections.abc import Callable
from random import Random

import pytest

from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.engine.turns import Turns
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.world import SIZE, World
from tests.support.volume_world import quiet

PIECE = 2 * SECTOR
"""As the crash tester has it."""


def test_a_turn_has_so_much_and_who_waits_is_served_in_order() -> None:
    soon: list[Callable[[], None]] = []
    turns = Turns(soon.append, 10)
    done: list[tuple[str, int]] = []

    def work(name: str, pieces: int) -> None:
        for piece in range(pieces):
            if not turns.spend(10, lambda at=piece: work_on(name, at, pieces)):  # type: ignore[misc]
                return
            done.append((name, piece))

    def work_on(name: str, at: int, pieces: int) -> None:
        if not turns.spend(10, lambda: work_on(name, at, pieces)):
            return
        done.append((name, at))
        if at + 1 < pieces:
            work_on(name, at + 1, pieces)

    work("a", 3)
    work("b", 2)
    counts = [len(done)]
    while soon:
        soon.pop(0)()
        counts.append(len(done))
    assert counts == [1, 2, 3, 4, 5, 5]
    assert [at for name, at in done if name == "a"] == [0, 1, 2]
    assert done[1:3] == [("a", 1), ("b", 0)], "neither starves"


def watched(monkeypatch: pytest.MonkeyPatch, world: World, name: str) -> list[tuple[int, int]]:
    """The turn of the loop in which each piece is zeroed there, and how many bytes."""
    zeroed: list[tuple[int, int]] = []
    data = world.machines[name].data
    zero = data.zero

    def note(offset: int, length: int, punch: bool) -> None:
        zeroed.append((world.loop.steps, length))
        zero(offset, length, punch)

    monkeypatch.setattr(data, "zero", note)
    return zeroed


def most(zeroed: list[tuple[int, int]]) -> int:
    """In one turn."""
    return max(sum(size for at, size in zeroed if at == turn) for turn, _ in zeroed)


def all_active(world: World, leader: Primary) -> None:
    """Nothing waits for its extents from here on."""
    leader.write(0, b"x" * SIZE, False, lambda _: None)
    world.loop.run(world.loop.now + 1.0)


def test_primary_and_replica_zero_so_much_in_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    world, leader = quiet()
    all_active(world, leader)
    watch = {name: watched(monkeypatch, world, name) for name in ("a", "b")}
    told: list[int] = []
    for _ in range(3):
        leader.zero(0, SIZE, False, False, told.append)
    assert sum(size for _, size in watch["a"]) <= PIECE, "the rest in later turns"
    world.loop.run(world.loop.now + 2.0)
    assert told == [0, 0, 0]
    for zeroed in watch.values():
        assert sum(size for _, size in zeroed) == 3 * SIZE
        assert most(zeroed) == PIECE


def test_others_are_served_meanwhile_and_what_overlaps_waits() -> None:
    world, leader = quiet()
    all_active(world, leader)
    order: list[str] = []
    leader.zero(0, SIZE // 2, False, False, lambda _: order.append("zeroed"))
    leader.write(SIZE // 2 - SECTOR, b"n" * SECTOR, False, lambda _: order.append("over it"))
    leader.read(SIZE // 2 - SECTOR, SECTOR, lambda _, data: order.append(bytes(data[:1]).decode()))
    leader.write(SIZE - SECTOR, b"o" * SECTOR, False, lambda _: order.append("elsewhere"))
    leader.read(SIZE - 2 * SECTOR, SECTOR, lambda *_: order.append("read elsewhere"))
    world.loop.run(world.loop.now + 2.0)
    assert order == ["read elsewhere", "elsewhere", "zeroed", "over it", "n"]
    a, b = (world.machines[name].data.memory for name in ("a", "b"))
    assert a == b
    assert a[: SIZE // 2] == bytes(SIZE // 2 - SECTOR) + b"n" * SECTOR


@pytest.mark.parametrize("seed", range(20))
def test_members_end_up_the_same_whatever_is_mixed(seed: int) -> None:
    world, leader = quiet()
    random, told = Random(seed), list[int]()
    model = bytearray(world.machines["a"].data.memory)
    for number in range(60):
        first = random.randrange(SIZE // SECTOR)
        size = min(random.choice((1, 3, 40)), SIZE // SECTOR - first) * SECTOR
        at = first * SECTOR
        if random.random() < 0.5:
            leader.zero(at, size, random.random() < 0.5, random.random() < 0.2, told.append)
            model[at : at + size] = bytes(size)
        else:
            data = bytes([number + 1]) * size
            leader.write(at, data, random.random() < 0.2, told.append)
            model[at : at + size] = data
        if random.random() < 0.2:
            world.loop.run(world.loop.now + 0.001)
    world.loop.run(world.loop.now + 10.0)
    assert told == [0] * 60
    assert bytes(world.machines["a"].data.memory) == bytes(model)
    assert bytes(world.machines["b"].data.memory) == bytes(model)


@pytest.mark.parametrize("ends", [Primary.close, lambda leader: leader.disk.fail(errno.EIO)])
def test_one_that_is_half_done_is_told_of_the_end_once(ends: Callable[[Primary], None]) -> None:
    world, leader = quiet()
    all_active(world, leader)
    told: list[int] = []
    leader.zero(0, SIZE, True, False, told.append)
    ends(leader)
    world.loop.run(world.loop.now + 1.0)
    assert len(told) == 1
    assert told[0] in (errno.ESHUTDOWN, errno.EIO)


def test_a_replica_that_gets_many_at_once_takes_them_in_turns_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, leader = quiet()
    all_active(world, leader)
    replica = world.machines["b"].process
    assert isinstance(replica, Replica)
    link = replica._link
    assert link is not None
    zeroed = watched(monkeypatch, world, "b")
    seq, epoch = leader.stream.seq, leader.stream.epoch
    for number in range(20):
        zero = Frame(Kind.ZERO, 0, epoch, seq + 2 * number + 1, 0, PIECE)
        write = Frame(Kind.WRITE, 0, epoch, seq + 2 * number + 2, number * PIECE, SECTOR)
        replica.frame_received(link, zero, memoryview(b""))
        replica.frame_received(link, write, memoryview(b"w" * SECTOR))
    assert len(zeroed) <= 1
    world.loop.run(world.loop.now + 1.0)
    assert (len(zeroed), most(zeroed)) == (20, PIECE)
    data = world.machines["b"].data.memory
    assert data[: 2 * PIECE] == bytes(PIECE) + b"w" * SECTOR + b"x" * SECTOR
