"""What an operator does to a volume in use, and the parts that the crash tester does not judge."""

import asyncio
import errno
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.storage_replication.control import Resize, Verify
from holdfast.storage_replication.data_path import orders
from holdfast.storage_replication.data_path.node import NotNow
from holdfast.storage_replication.engine import asynchronous, verify
from holdfast.storage_replication.engine.asynchronous import Lag
from holdfast.storage_replication.engine.changes import ChangeRefused, Growth, add_member, repair
from holdfast.storage_replication.engine.ports import (
    Differences,
    MemberLost,
    MemberSilent,
    Repaired,
    ResyncStarted,
    VerifyCut,
)
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Promotion, PromotionRefused, promote
from holdfast.storage_replication.replicated import transitions
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.history import content
from tests.simulation.volumes.reckoning import settle
from tests.simulation.volumes.world import SIZE, World
from tests.support.volume_world import quiet


def verified(world: World) -> list[Differences]:
    """What all verifies so far have reported."""
    return [event for event in world.reports if isinstance(event, Differences)]


def test_a_silent_member_is_told_of_before_it_is_lost() -> None:
    world, leader = quiet()
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 0.4)
    for _ in range(10):
        if not leader.members.peers["b"].silent:
            world.loop.run(world.loop.now + 0.02)
    (silent,) = [event for event in world.reports if isinstance(event, MemberSilent)]
    assert silent.member == "b"
    assert set(world.service.record.in_sync) == {"a", "b"}
    world.cuts.clear()
    world.loop.run(world.loop.now + 0.3)
    assert not leader.members.peers["b"].silent
    assert not [event for event in world.reports if isinstance(event, MemberLost)]
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 1.0)
    assert [event.member for event in world.reports if isinstance(event, MemberLost)] == ["b"]
    assert world.service.record.in_sync == ["a"]


def test_a_primary_that_stood_still_takes_nobody_for_silent() -> None:
    """What the members said meanwhile is read after the first tick."""
    world, leader = quiet()
    world.loop.now += 100 * world.settings.member_timeout
    leader.tick()
    peer = leader.members.peers["b"]
    assert (peer.link is not None, peer.silent, peer.counts) == (True, False, True)


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("cached", [False, True])
def test_verify_finds_what_rotted_and_repair_cures_it(name: str, cached: bool) -> None:
    """Also below the cache, which shows what was written. Of a primary's own disk it can tell only
    while the cache does."""
    world, leader = quiet()
    if name == "a" and not cached:
        return
    other = world.machines["b"]
    rotten = {5, 100, 101}
    for sector in rotten:
        for area in (world.machines[name].data._disk, *([] if cached else [other.data.memory])):
            area[sector * SECTOR] ^= 1
    assert leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    (differences,) = verified(world)
    blocks = {sector * SECTOR // 1024 for sector in rotten}
    told = {b for o, n in differences.ranges for b in range(o // 1024, (o + n) // 1024)}
    assert told == blocks
    repair(leader, "b", differences.ranges)
    world.loop.run(world.loop.now + 1.0)
    assert leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    assert verified(world)[1].ranges == []
    assert other.data.memory == world.machines["a"].data.memory
    for machine in world.machines.values():
        assert machine.data.durable() == bytes(other.data.memory)


@pytest.mark.parametrize("gone", [False, True])
async def test_a_repair_of_many_places_lets_others_have_their_turns(gone: bool) -> None:
    """Of a disk that seeks they take seconds, and a data path that stands still is killed."""
    _, leader = quiet()
    said: list[object] = []
    node: Any = SimpleNamespace(primary=leader, role=leader, report=said.append)
    await orders.Orders(node).carry_out(Verify(id=1, member="b", repair=True))
    pread, read = leader.disk.file.pread, list[int]()

    def counted(offset: int, length: int) -> bytes | bytearray:
        read.append(offset)
        return pread(offset, length)

    leader.disk.file.pread = counted  # type: ignore[method-assign]
    ranges = [(offset, 512) for offset in range(0, SIZE, 1024)]
    node.on_event(Differences("b", ranges))
    if gone:
        del leader.members.peers["b"]
    before = 0
    while not said:
        await asyncio.sleep(0)
        assert len(read) - before <= orders.AT_ONCE
        before = len(read)
    (repaired,) = said
    assert repaired == Repaired("b", len(ranges), "it is no member any more" if gone else "")
    assert read == ([] if gone else [offset for offset, _ in ranges])


def test_verify_takes_no_write_under_way_for_a_difference() -> None:
    world, leader = quiet()
    world.client.busy = True
    for _ in range(5):
        assert leader.upkeep.verify("b")
        world.loop.run(world.loop.now + 1.0)
    assert [one.ranges for one in verified(world)] == [[]] * 5


def test_what_verify_does_not_count_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MAX_RANGES", 2)
    world, leader = quiet()
    rotten, other = (5, 100, 150), world.machines["b"]
    for sector in rotten:
        other.data.memory[sector * SECTOR] ^= 1
        other.data._disk[sector * SECTOR] ^= 1
    found = []
    for _ in range(3):
        assert leader.upkeep.verify("b")
        world.loop.run(world.loop.now + 5.0)
        found.append(verified(world)[-1])
        repair(leader, "b", found[-1].ranges)
        world.loop.run(world.loop.now + 1.0)
    assert [(len(one.ranges), one.complete) for one in found] == [(2, False), (1, True), (0, True)]


def test_what_the_primary_cannot_read_verify_says() -> None:
    world, leader = quiet()
    world.machines["a"].data.bad.add(5 * SECTOR)
    assert leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    (told,) = verified(world)
    assert (told.ranges, told.unreadable, told.complete) == ([], [(0, 8 << 10)], True)
    assert leader.disk.failed == 0


def test_what_a_member_cannot_read_differs_and_is_repaired() -> None:
    world, leader = quiet()
    other = world.machines["b"]
    other.data.bad.add(5 * SECTOR)
    assert leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    (told,) = verified(world)
    assert told.ranges == [(0, 8 << 10)]
    repair(leader, "b", told.ranges)
    world.loop.run(world.loop.now + 1.0)
    assert other.data.bad == set()
    assert other.disk is not None
    assert other.disk.failed == 0


def test_a_second_verify_is_refused_and_costs_no_member() -> None:
    world, leader = quiet()
    assert leader.upkeep.verify("b")
    peer = leader.members.peers["b"]
    while peer.verify is None or not peer.verify._open:
        world.loop.run(world.loop.now + 0.0001)
    assert not leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    assert not [event for event in world.reports if isinstance(event, MemberLost)]
    assert [one.ranges for one in verified(world)] == [[]]


def test_a_verify_whose_member_is_lost_says_that_it_did_not_end() -> None:
    world, leader = quiet()
    assert leader.upkeep.verify("b")
    leader.members.lose(leader.members.peers["b"], "connection lost")
    assert [e for e in world.reports if isinstance(e, VerifyCut)] == [
        VerifyCut("b", "connection lost")
    ]
    world.loop.run(world.loop.now + 5.0)
    assert verified(world) == []


def test_a_verify_that_ends_with_the_role_of_its_primary_says_so() -> None:
    world, leader = quiet()
    assert leader.upkeep.verify("b")
    leader.close()
    (cut,) = [e for e in world.reports if isinstance(e, VerifyCut)]
    assert cut == VerifyCut("b", "its primary has another role")


def test_a_verify_that_ends_with_the_disk_of_its_primary_says_so() -> None:
    world, leader = quiet()
    assert leader.upkeep.verify("b")
    leader.disk.fail(errno.EIO)
    (cut,) = [e for e in world.reports if isinstance(e, VerifyCut)]
    assert cut == VerifyCut("b", "the disk of its primary failed")


def test_a_checksum_that_nobody_waits_for_any_more_costs_no_member() -> None:
    world, leader = quiet()
    assert leader.upkeep.verify("b")
    peer = leader.members.peers["b"]
    while peer.verify is None or not peer.verify._open:
        world.loop.run(world.loop.now + 0.0001)
    peer.verify = None
    assert leader.upkeep.verify("b")
    world.loop.run(world.loop.now + 5.0)
    assert not [event for event in world.reports if isinstance(event, MemberLost)]
    assert [one.ranges for one in verified(world)] == [[]]


@pytest.mark.parametrize("away", [False, True])
def test_a_volume_grows_while_it_is_used(away: bool) -> None:
    """Also if a member is away: it grows when it is back."""
    world, leader = quiet()
    world.client.busy = True
    if away:
        world.machines["b"].die(True)
    ended: list[int] = []
    world.history.grow((SIZE + (64 << 10)) // SECTOR)
    growth = Growth(leader, SIZE + (64 << 10), world.machines["a"].enlarge, ended.append)
    for _ in range(100):
        growth.tick()
        world.loop.run(world.loop.now + 0.1)
    assert growth.ended
    assert ended == [0]
    assert leader.size == SIZE + (64 << 10)
    world.loop.run(world.loop.now + 2.0)
    world.client.busy = False
    settle(world)
    memories = {bytes(machine.data.memory) for machine in world.machines.values()}
    assert len(memories) == 1
    assert any(memories.pop()[SIZE:])
    with pytest.raises(ChangeRefused, match="ask for more"):
        Growth(leader, SIZE, world.machines["a"].enlarge, ended.append)


NOW = "2026-01-01T00:00:00Z"
GROWN = SIZE + (64 << 10)


def grown(world: World, leader: Primary) -> list[int]:
    """Begin to grow; what it was told when it ended."""
    ended: list[int] = []
    machine = world.machines[leader.disk.superblock.member]
    growth = Growth(leader, GROWN, machine.enlarge, ended.append)

    def tick() -> None:
        if not growth.ended and machine.process is leader:
            growth.tick()
            machine.later(0.1, tick)

    machine.later(0.0, tick)
    return ended


def test_what_is_new_is_zero_everywhere_before_anybody_sees_it() -> None:
    """Whatever the devices held there, and wherever the first attempt was interrupted."""
    for moment in range(40):
        world, leader = quiet()
        ended = grown(world, leader)
        world.loop.run(world.loop.now + moment * 0.01)
        done = leader.size == GROWN
        assert done == bool(ended)
        for machine in world.machines.values():
            machine.die(True)
        settle(world)
        again = world.leader
        assert again is not None
        assert again.size == GROWN or not done
        if again.size == SIZE:
            ended = grown(world, again)
            world.loop.run(world.loop.now + 5.0)
            assert ended == [0]
        for machine in world.machines.values():
            disk = machine.disk
            assert disk is not None
            assert disk.superblock.size == GROWN
            assert bytes(machine.data.memory[SIZE:GROWN]) == bytes(GROWN - SIZE), moment
            assert machine.data.durable()[SIZE:GROWN] == bytes(GROWN - SIZE)


def test_nobody_waits_for_what_is_zeroed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device may take hours for it."""
    world, leader = quiet()
    for machine in world.machines.values():
        monkeypatch.setattr(machine.data, "clear", lambda _offset, _length, _done: None)
    ended = grown(world, leader)
    world.loop.run(world.loop.now + 1.0)
    answers: list[int] = []
    for extent in range(4):
        leader.write(extent * (32 << 10), b"in time " * 128, True, answers.append)
    world.loop.run(world.loop.now + 1.0)
    assert answers == [0] * 4
    assert (ended, leader.size) == ([], SIZE)


def test_nobody_grows_while_the_primary_has_no_room() -> None:
    """A member that had grown would be larger than the volume, and once it leads, so would that."""
    world, leader = quiet()
    ended: list[int] = []

    def enlarge(_size: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    for _ in range(2):  # the second time it need not be zeroed before
        Growth(leader, GROWN, enlarge, ended.append).tick()
        world.loop.run(world.loop.now + 2.0)
    assert (ended, leader.size) == ([errno.ENOSPC] * 2, SIZE)
    disk = world.machines["b"].disk
    assert disk is not None
    assert disk.superblock.size == SIZE


def test_a_volume_that_became_smaller_by_an_accepted_loss_grows_to_zeroes() -> None:
    """The member that was larger has content there that nobody else has."""
    world, leader = quiet()
    b = world.machines["b"]
    b.die(True)
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 2.0)
    ended = grown(world, leader)
    world.loop.run(world.loop.now + 2.0)
    assert ended == [0]
    answers: list[int] = []
    leader.write(SIZE, b"lost" * 256, True, answers.append)
    world.loop.run(world.loop.now + 1.0)
    assert answers == [0]
    word = transitions.accept_loss(world.service.record, "b", "ana", "all since then", at=NOW)
    done = transitions.promote(word, "b", 2, set(), "", at=NOW)
    world.service.record = done.record
    world.machines["a"].demote()
    world.cuts.clear()
    world.promote(b, 0)
    world.loop.run(world.loop.now + 8.0)
    again = world.leader
    assert again is not None
    assert set(world.service.record.in_sync) == {"a", "b"}
    assert again.size == SIZE
    assert world.machines["a"].disk is not None
    assert world.machines["a"].disk.superblock.size == SIZE
    growth = Growth(again, GROWN, b.enlarge, ended.append)
    for _ in range(30):
        growth.tick()
        world.loop.run(world.loop.now + 0.1)
    assert ended == [0, 0]
    for machine in world.machines.values():
        assert bytes(machine.data.memory[SIZE:GROWN]) == bytes(GROWN - SIZE)


async def test_clients_see_the_size_also_if_it_came_after_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orders, "DEADLINE", 0.05)
    world, leader = quiet()
    told: list[int] = []
    node: Any = SimpleNamespace(
        primary=leader, role=leader, growth=None, enlarge=world.machines["a"].enlarge,
        door=SimpleNamespace(resize=told.append),
    )  # fmt: skip
    with pytest.raises(NotNow, match="it goes on"):
        await orders.Orders(node).carry_out(Resize(id=1, size=GROWN))
    assert told == []
    for _ in range(30):
        node.growth.tick()
        world.loop.run(world.loop.now + 0.1)
    assert told == [GROWN]
    await orders.Orders(node).carry_out(Resize(id=2, size=GROWN))
    assert told == [GROWN, GROWN]


def test_members_come_and_go_while_the_volume_is_used() -> None:
    world, leader = quiet(members=3)
    world.client.busy = True
    leader.members.leave("b")
    world.loop.run(world.loop.now + 2.0)
    assert set(leader.members.peers) == {"c"}
    assert set(world.service.record.in_sync) == {"a", "c"}
    done: list[int] = []
    add_member(leader, world.settings, "b", asynchronous=False, done=done.append)
    with pytest.raises(ChangeRefused, match="already"):
        add_member(leader, world.settings, "b", asynchronous=False, done=done.append)
    world.loop.run(world.loop.now + 5.0)
    world.client.busy = False
    settle(world)
    assert done == [0]
    assert set(world.service.record.in_sync) == {"a", "b", "c"}


def test_a_member_that_is_not_in_sync_is_not_promoted() -> None:
    world, leader = quiet()
    other = world.machines["b"].disk
    assert other is not None
    ports, settings = leader._ports, world.settings
    with pytest.raises(PromotionRefused, match="not in sync"):
        promote(other, ports, settings, Promotion(2, False, 0, {}))
    with pytest.raises(PromotionRefused, match="epoch 1 is past: a was"):
        promote(other, ports, settings, Promotion(1, True, 0, {}))
    other.change(resyncing=True)
    with pytest.raises(PromotionRefused, match="between two states"):
        promote(other, ports, settings, Promotion(2, False, 0, {}, accept_loss=True))


@pytest.mark.parametrize("known", [True, False])
def test_an_absent_old_primary_is_compared_where_an_activity_log_says_so(known: bool) -> None:
    """If both were in sync when it was replaced; else all of it, and it is the same either way."""
    world, leader = quiet()
    world.loop.run(world.loop.now + 5.0)
    world.history.read("before", 0, bytes(world.machines["a"].data.memory))
    assert leader.disk.activity.active == {}, "everybody agrees durably"
    if not known:
        world.service.record = transitions.take_out(world.service.record, "a", 1, "b")
        word = transitions.accept_loss(world.service.record, "b", "ana", "nothing", at=NOW)
        world.service.record = word
    old, new = world.machines["a"], world.machines["b"]
    world.client.busy = True
    for _ in range(50):
        world.loop.run(world.loop.now + 0.02)
        if leader.disk.activity.active:
            break
    world.client.busy = False
    assert leader.disk.activity.active
    old.die(True)
    world.moving = True
    record = transitions.promote(world.service.record, "b", 2, set(), "", at=NOW).record
    assert (record.in_sync, record.before) == (["b"], ["a"] if known else [])
    world.service.record = record
    # Between the record and the promotion the new primary dies, and with it whoever wrote that.
    new.die(False)
    world.moving = False
    world.reports.clear()
    world.loop.run(world.loop.now + 2.0)
    assert world.leader is new.process
    settle(world)
    started = [one for one in world.reports if isinstance(one, ResyncStarted)]
    assert [one.in_place for one in started] == [False]
    assert (started[0].bytes < SIZE) == known


def test_lag_is_what_the_member_has_not_applied() -> None:
    lag = Lag(100, 5.0)
    lag.wrote(1, 60, 10.0)
    lag.wrote(2, 30, 12.0)
    assert (lag.bytes, lag.seconds(13.0), lag.exceeded(13.0)) == (90, 3.0, False)
    assert lag.exceeded(15.0)
    lag.applied(1)
    assert (lag.bytes, lag.seconds(15.0), lag.exceeded(15.0)) == (30, 3.0, False)
    lag.wrote(3, 70, 15.0)
    assert lag.exceeded(15.0)


def test_the_lag_of_however_many_writes_takes_little_memory_and_is_never_told_too_low() -> None:
    """A follower that is away may lack millions of them within its bound."""
    lag, most = Lag(1 << 50, 1e9), 3 * asynchronous.MOST
    tracemalloc.start()
    try:
        for seq in range(1, most + 1):
            lag.wrote(seq, 512, float(seq))
        assert tracemalloc.get_traced_memory()[0] < 200 * asynchronous.MOST
    finally:
        tracemalloc.stop()
    for applied in range(0, most, 1000):
        lag.applied(applied)
        exact = 512 * (most - applied)
        assert exact <= lag.bytes <= exact + 512 * 8
        assert most - applied - 1 <= lag.seconds(float(most)) <= most - applied + 8
    lag.applied(most)
    assert (lag.bytes, lag.seconds(1e6)) == (0, 0.0)


def test_a_flush_after_which_nothing_was_written_is_not_repeated() -> None:
    """One that is done, or under way, makes durable all that the next one is to."""
    world, leader = quiet()
    leader.upkeep._settings = replace(world.settings, idle=60.0)  # none but those of clients
    answered: list[int] = []

    def wrote(label: int) -> None:
        world.history.issue(label, label, 0, 0)
        leader.write(0, content(label), False, answered.append)
        world.loop.run(world.loop.now + 1.0)

    def flushed(times: int) -> int:
        before = leader.stream.flushing
        for _ in range(times):
            leader.flush(answered.append)
        return leader.stream.flushing - before

    wrote(1)
    assert flushed(1) > 0
    assert flushed(2) == 0, "it is under way"
    assert answered == [0], "and is waited for"
    world.loop.run(world.loop.now + 1.0)
    assert answered == [0] * 4
    assert flushed(1) == 0
    assert answered == [0] * 5, "at once"
    wrote(2)
    assert flushed(1) > 0
