"""A replica between two primaries, and one that gets nothing done."""

import errno
from collections.abc import Callable

import msgspec
import pytest

from holdfast.storage_replication.engine import replica as replicas
from holdfast.storage_replication.engine.frames import Frame, Kind, parse
from holdfast.storage_replication.engine.messages import Hello
from holdfast.storage_replication.engine.peer import Phase
from holdfast.storage_replication.engine.ports import Event, FallbackLost, MemberLost
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.engine.turns import Turns
from holdfast.storage_replication.interfaces import Done
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.history import content
from tests.simulation.volumes.world import SIZE, World
from tests.support.volume_world import quiet


class Wire:
    """A `Link` that remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[Frame] = []
        self.closed = False

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        assert not self.closed
        found = parse(memoryview(frame + bytes(payload)))
        assert found is not None
        self.sent.append(found[0])

    def close(self) -> None:
        self.closed = True


class Follower:
    """Member b of a quiet volume, whose primary is gone, and what it reports."""

    def __init__(self) -> None:
        self.world, leader = quiet()
        leader.close()
        self.world.loop.run(self.world.loop.now + 1.0)
        self.machine = self.world.machines["b"]
        disk = self.machine.disk
        assert disk is not None
        self.disk = disk
        self.room = SIZE
        self.reports: list[Event] = []
        turns = Turns(lambda then: self.world.loop.at(0.0, then))
        self.replica = Replica(disk, self.reports.append, self._enlarge, turns)

    def _enlarge(self, size: int) -> None:
        if size > self.room:
            raise OSError(errno.ENOSPC, "no room")
        self.machine.data.resize(size)

    def hello(self, epoch: int, size: int = SIZE, primary: str = "a") -> Wire:
        """A primary comes over a new connection."""
        wire = Wire()
        told = Hello(uuid="volume-1", primary=primary, member="b", size=size)
        payload = memoryview(msgspec.msgpack.encode(told))
        frame = Frame(Kind.HELLO, 0, epoch, 0, 0, 0)
        self.replica.frame_received(wire, frame, payload)
        return wire

    def take(self, wire: Wire, kind: Kind, epoch: int, seq: int, data: bytes = b"") -> None:
        """One more frame of it; what it carries belongs at the beginning."""
        frame = Frame(kind, 0, epoch, seq, 0, len(data))
        self.replica.frame_received(wire, frame, memoryview(data))

    def pass_time(self) -> None:
        """Until the disk has done all it was told to."""
        self.world.loop.run(self.world.loop.now + 1.0)


def test_nothing_of_an_earlier_epoch_is_applied_once_a_later_one_is_stored() -> None:
    """Not even what waits for the disk, and although the later primary is turned away."""
    b = Follower()
    before = bytes(b.machine.data.memory)
    old = b.hello(2)
    b.take(old, Kind.BEGIN, 2, 0)
    b.take(old, Kind.WRITE, 2, 1, b"late" * 256)
    b.take(old, Kind.FLUSH, 2, 2)
    new = b.hello(3, size=2 * SIZE, primary="c")
    assert [frame.kind for frame in new.sent] == [Kind.REFUSED]
    assert (b.disk.superblock.epoch, old.closed) == (3, True)
    b.pass_time()
    assert bytes(b.machine.data.memory) == before


def test_an_undo_log_that_lost_something_is_given_up_whoever_is_followed_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = Follower()
    first = b.hello(2)
    b.take(first, Kind.BEGIN, 2, 0)
    b.pass_time()
    undo, saves = b.disk.undo, list[Done]()
    assert undo is not None
    monkeypatch.setattr(undo, "save", lambda _, done: saves.append(done))
    b.take(first, Kind.WRITE, 2, 1, b"data" * 256)
    b.pass_time()
    (saved,) = saves
    b.take(b.hello(2), Kind.BEGIN, 2, 1)
    assert b.disk.superblock.fallback
    saved(errno.EIO)
    assert not b.disk.superblock.fallback
    assert b.reports == [FallbackLost()]


def test_frames_without_data_that_wait_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "MAX_QUEUE", 16 << 10)
    b = Follower()
    wire = b.hello(2)
    b.take(wire, Kind.BEGIN, 2, 0)
    for seq in range(1, 1000):
        if not wire.closed:
            b.take(wire, Kind.FLUSH, 2, seq)
    assert wire.closed


def test_a_member_without_room_to_grow_is_no_broken_one() -> None:
    b = Follower()
    wire = b.hello(2)
    b.take(wire, Kind.BEGIN, 2, 0)
    b.pass_time()
    grow = Frame(Kind.RESIZE, 0, 2, 0, 2 * SIZE, 0)
    b.replica.frame_received(wire, grow, memoryview(b""))
    assert (b.disk.failed, b.disk.superblock.size, b.reports) == (0, SIZE, [])
    b.room = 2 * SIZE
    for _ in range(10):  # each time it is asked again, until that much is zeroed
        if wire.sent[-1].kind is Kind.RESIZED:
            break
        b.replica.frame_received(wire, grow, memoryview(b""))
        b.pass_time()
    assert [frame.kind for frame in wire.sent] == [Kind.WELCOME, Kind.RESIZED]
    assert b.disk.superblock.size == 2 * SIZE


def reconnected(world: World, until: Callable[[], bool]) -> None:
    """The primary connects between two ticks, as real ones do."""
    machine = world.machines["a"]
    world.cuts.clear()
    world.connect(machine, machine.process)  # type: ignore[arg-type]
    for _ in range(200):
        if until():
            return
        world.loop.run(world.loop.now + 0.0001)
    raise AssertionError("it does not come back")


def test_a_member_is_not_lost_for_what_it_did_not_do_while_it_was_away() -> None:
    world, leader = quiet()
    peer = leader.members.peers["b"]
    world.loop.run(world.loop.now + 1.0)
    world.service.stalled_until = world.loop.now + 100.0
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + world.settings.stall + 2.0)
    assert (peer.phase, peer.counts) == (Phase.AWAY, True)
    peer.dirty.fill(True)
    reconnected(world, lambda: peer.phase is Phase.RECONCILING)
    leader.tick()
    assert peer.phase is Phase.RECONCILING


def test_a_member_whose_resync_stands_still_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers pings, and its disk hangs."""
    world, leader = quiet()
    peer = leader.members.peers["b"]
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 2.0)
    assert (peer.phase, peer.counts) == (Phase.AWAY, False)
    peer.dirty.fill(True)
    monkeypatch.setattr(world.machines["b"].data, "sync", lambda _done: None)
    reconnected(world, lambda: peer.phase is Phase.RESYNCING)
    world.reports.clear()
    world.loop.run(world.loop.now + world.settings.stall + 1.0)
    lost = [event for event in world.reports if isinstance(event, MemberLost)]
    assert [event.reason for event in lost] == ["alive, but got nothing done for 10 s"]


def test_clients_wait_for_one_in_a_resync_no_longer_than_for_a_silent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It answers pings and gets nothing done; nobody needs it."""
    world, leader = quiet()
    peer = leader.members.peers["b"]
    world.cuts.add(frozenset({"a", "b"}))
    world.loop.run(world.loop.now + 2.0)
    peer.dirty.fill(False)
    peer.dirty.set(0)
    monkeypatch.setattr(world.machines["b"].data, "sync", lambda _done: None)
    reconnected(world, lambda: peer.phase is Phase.RESYNCING)
    world.reports.clear()
    answered: list[int] = []
    size = 4 << 10
    issued = world.history.issue(1, 1, 64, 64 + size // SECTOR - 1)
    for _ in range(2000):
        leader.write(64 * SECTOR, content(1) * (size // SECTOR), False, answered.append)
    world.loop.run(world.loop.now + 0.2)
    assert leader.counting.flooded
    assert 0 < len(answered) < 2000
    world.loop.run(world.loop.now + world.settings.member_timeout + 0.2)
    lost = [event.reason for event in world.reports if isinstance(event, MemberLost)]
    assert lost == [f"alive, but got nothing done for {world.settings.member_timeout:g} s"]
    assert answered == [0] * 2000
    world.history.ended(issued, True, False)
