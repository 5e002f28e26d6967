"""How fast members are compared, and what clients notice of it."""

import asyncio
import socket
from random import Random

import pytest

from holdfast.storage_replication.data_path.link import LinkConnection
from holdfast.storage_replication.disk.bitmap import PAGE, Bitmap, pages_for
from holdfast.storage_replication.engine import upkeep
from holdfast.storage_replication.engine.backlog import Backlog
from holdfast.storage_replication.engine.digests import digests
from holdfast.storage_replication.engine.frames import Frame, Kind, encode
from holdfast.storage_replication.engine.progress import Progress
from holdfast.storage_replication.engine.rate import (
    CEILING,
    FLOOR,
    Rate,
    Seen,
    Usual,
    adjust,
    learn,
    p99,
)
from holdfast.storage_replication.engine.resync import Resync
from holdfast.storage_replication.engine.samples import MOST, Sample
from tests.simulation.volumes.disks import Loop, Power, SimFile
from tests.simulation.volumes.history import content
from tests.simulation.volumes.machine import GEOMETRY
from tests.support.volume_world import quiet


class Order:
    """Ends of links: which of them got a frame, in order."""

    def __init__(self, expected: int) -> None:
        self.seen: list[LinkConnection] = []
        self._expected = expected
        self.all = asyncio.Event()

    def up(self, link: LinkConnection) -> None:
        """Nothing to do."""

    def frame(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """One more."""
        self.seen.append(link)
        if len(self.seen) == self._expected:
            self.all.set()

    def batch_over(self, link: LinkConnection) -> None:
        """Nothing to do."""

    def down(self, link: LinkConnection) -> None:
        """Nothing to do."""


async def test_after_a_comparison_others_have_their_turn() -> None:
    """Or a client would wait for all that a member said at once."""
    loop = asyncio.get_running_loop()
    order = Order(expected=8)
    outer: list[socket.socket] = []
    links: list[LinkConnection] = []
    told = encode(Kind.HASHES, 1, 1, payload=b"d" * 256) + b"d" * 256
    for _ in range(2):
        ours, theirs = socket.socketpair()
        outer.append(theirs)
        ours.setblocking(False)
        _, link = await loop.create_connection(lambda: LinkConnection(order), sock=ours)
        links.append(link)
    for theirs in outer:
        theirs.sendall(4 * told)
    async with asyncio.timeout(20):
        await order.all.wait()
    for link in links:
        link.close()
    for theirs in outer:
        theirs.close()
    first, second = order.seen[:2]
    assert first is not second, "neither has all its turns at once"
    assert [order.seen.count(link) for link in links] == [4, 4]


def test_fewer_chunks_at_a_time_while_clients_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "GENTLE_WINDOW", 1)
    world, leader = quiet(seed=4)
    assert leader.members.window == world.settings.resync_window > 1
    world.client.busy = True
    world.loop.run(world.loop.now + 3.0)
    assert leader.members.window == 1
    world.client.busy = False
    world.loop.run(world.loop.now + 3.0)
    assert leader.members.window == world.settings.resync_window


def test_no_more_chunks_are_asked_for_than_the_window_allows() -> None:
    dirty = Bitmap(SimFile(Power(Loop(1)), pages_for(8) * PAGE), 8, "x")
    dirty.fill(False)
    dirty.set_range(0, 7)
    resync = Resync(dirty, GEOMETRY, 8 * GEOMETRY.chunk)
    assert [resync.next(2, True) is not None for _ in range(3)] == [True, True, False]
    assert resync.next(3, True) is not None


def test_a_chunk_is_asked_for_in_pieces_and_done_with_the_last() -> None:
    """Until then it stays in the dirty map, and from the first on writes to it are sent."""
    dirty = Bitmap(SimFile(Power(Loop(1)), pages_for(8) * PAGE), 8, "x")
    dirty.fill(False)
    dirty.set_range(0, 1)
    chunk, block = GEOMETRY.chunk, GEOMETRY.block
    resync = Resync(dirty, GEOMETRY, 8 * chunk)
    resync.piece = 3 * block

    def told(offset: int, length: int) -> list[tuple[int, bytes]] | None:
        return resync.answer(offset, digests(bytes(length), block), lambda _, size: bytes(size))

    asked = [resync.next(1, True), resync.next(1, True)]
    assert asked == [(0, 3 * block), None]
    assert (resync.skips(0, 0), resync.skips(1, 1)) == (False, True)
    assert told(0, 3 * block) == []
    assert told(0, 3 * block) is None, "it was told already"
    resync.checkpoint(1)
    resync.flushed(1)
    assert list(dirty) == [0, 1], "the rest of it is not compared yet"
    asked = [resync.next(8, True) for _ in range(4)]
    assert asked[:2] == [(3 * block, 3 * block), (6 * block, chunk - 6 * block)]
    assert told(3 * block, 3 * block) == []
    resync.checkpoint(2)
    resync.flushed(2)
    assert list(dirty) == [0, 1]
    assert told(6 * block, chunk - 6 * block) == []
    resync.checkpoint(3)
    resync.flushed(3)
    assert list(dirty) == [1]
    assert resync.progress.done == chunk
    assert not resync.exhausted


@pytest.mark.parametrize(
    ("speed", "least", "most"), [(8 << 20, 1 << 20, 6 << 20), (1 << 30, 32 << 20, 65 << 20)]
)
def test_what_may_be_under_way_is_what_the_link_takes(speed: int, least: int, most: int) -> None:
    """Against clients who write whenever they may, and a link of that many bytes a second."""
    backlog, now, sent, taken = Backlog(64 << 20), 0.0, 0, 0
    block = 64 << 10
    for _ in range(4000):
        while not backlog.full:
            sent += 1
            backlog.sent(sent, block)
        now += 0.002
        if (there := min(sent, int(now * speed) // block)) > taken:
            taken = there
            backlog.applied(taken, now)
    assert least <= backlog.bytes <= most + block
    assert taken * block > 0.9 * min(now * speed, sent * block)


def test_nothing_is_waited_for_before_much_is_under_way() -> None:
    backlog = Backlog(64 << 20)
    for seq in range(16):
        backlog.sent(seq, 64 << 10)
    assert not backlog.full
    for seq in range(16, 16 + 4096):
        backlog.sent(seq, 1)
    assert backlog.full, "each counts, however small"
    backlog.applied(16 + 4096, 1.0)
    assert (backlog.bytes, backlog.full) == (0, False)


def test_a_resync_keeps_p99_within_twice_its_usual() -> None:
    """Against a disk whose latency rises with the resync's speed."""
    random = Random(1)
    rate = Rate()
    for _ in range(20):
        rate = learn(rate, Seen([random.uniform(0.0005, 0.001) for _ in range(500)], []), True)
    seen = []
    for _ in range(200):
        latency = 0.001 * (1 + rate.speed / (100 << 20))
        taken = [random.uniform(0.5, 1.0) * latency for _ in range(500)]
        rate = adjust(rate, Seen(taken, []), rate.speed)
        seen.append(latency)
    usual = rate.plain.seconds
    assert usual is not None
    assert sum(latency > 2 * usual for latency in seen[20:]) < 10
    assert rate.speed > 20 << 20
    for _ in range(100):
        rate = adjust(rate, Seen([], []), rate.speed)
    assert rate.speed == CEILING
    for _ in range(100):
        rate = adjust(rate, Seen([1.0], []), rate.speed)
    assert rate.speed == FLOOR


def test_what_is_usual_is_learned_with_all_members() -> None:
    """While one is away, writes are faster than those a resync is measured by."""
    rate = learn(Rate(), Seen([0.001], []), False)
    assert rate.plain.seconds == 0.001, "better than nothing"
    rate = learn(rate, Seen([0.004], []), True)
    assert rate.plain.seconds == 0.004
    assert learn(rate, Seen([0.001], []), False) == rate
    assert learn(rate, Seen([], []), True) == rate
    closer = learn(rate, Seen([0.002], []), True).plain.seconds
    assert closer is not None
    assert 0.002 < closer < 0.004


def test_what_is_durable_has_a_pace_of_its_own() -> None:
    """It takes ten times as long: among plain writes it would look like trouble, or hide it."""
    rate = learn(Rate(), Seen([0.001] * 100, [0.010] * 5), True)
    assert (rate.plain.seconds, rate.durable.seconds) == (0.001, 0.010)
    done = rate.speed
    assert adjust(rate, Seen([0.001] * 100, [0.010] * 5), done).speed > rate.speed
    assert adjust(rate, Seen([0.003] * 100, [0.010] * 5), done).speed < rate.speed
    assert adjust(rate, Seen([], [0.030]), done).speed < rate.speed
    assert adjust(rate, Seen([], [0.018]), done).speed == rate.speed


def test_a_speed_is_near_what_is_done() -> None:
    """Else it would rise while something else is what limits a resync, and come down too late."""
    rate, done = Rate(plain=Usual(0.001, of_all=True)), 20 << 20
    for _ in range(60):
        rate = adjust(rate, Seen([0.001], []), done)
    assert done < rate.speed < 3 * done
    for _ in range(2):
        rate = adjust(rate, Seen([0.003], []), done)
    assert rate.speed < done, "soon below it, when it hurts"


def test_a_sample_is_of_all_of_its_time() -> None:
    """Not of its beginning: trouble comes when comparisons do."""
    sample = Sample()
    for number in range(100_000):
        sample.add(float(number))
    assert sample.count == 100_000
    assert MOST // 2 <= len(sample.kept) < MOST
    assert p99(sample.kept) == pytest.approx(99_000, rel=0.01)
    few = Sample()
    few.add(0.5)
    assert few.kept == [0.5]


@pytest.mark.parametrize("kind", ["fua", "flush"])
def test_a_client_that_makes_all_durable_is_not_taken_for_idle(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(upkeep, "GENTLE_WINDOW", 1)
    world, leader = quiet(seed=4)
    assert leader.members.window > 1
    answered: list[int] = []
    world.history.issue(1, 1, 0, 0)
    for _ in range(100):
        if kind == "fua":
            leader.write(0, content(1), True, answered.append)
        else:
            leader.flush(answered.append)
        world.loop.run(world.loop.now + 0.03)
    assert len(answered) > 90
    assert not any(answered)
    assert leader.members.window == 1
    usual = leader.upkeep.rate.durable.seconds
    assert usual is not None
    assert 0.0 < usual < 1.0


def test_what_came_right_after_a_comparison_waited_for_it() -> None:
    _, leader = quiet()
    now = leader.now()
    upkeeper, members = leader.upkeep, leader.members
    upkeeper._plain = Sample()
    members.compared = now - 0.004, now
    upkeeper.latency(now + 0.001, now + 0.002, False)
    upkeeper.latency(now + 0.002, now + 0.003, False)
    members.compared = now - 0.004, now
    upkeeper.latency(now + 0.005, now + 0.006, False)
    assert upkeeper._plain.kept == pytest.approx([0.005, 0.001, 0.001])


def test_an_estimate_follows_the_speed_of_now() -> None:
    progress = Progress(1000)
    assert progress.eta is None
    now = 0.0
    for _ in range(50):
        progress.tick(now)
        progress.did(10)
        now += 1.0
    assert progress.eta == pytest.approx(50.0, rel=0.1)
    for _ in range(60):
        progress.tick(now)
        now += 1.0
    assert progress.eta is None
    progress.did(500)
    assert progress.eta == 0.0


def test_a_slow_beginning_is_not_all_that_an_estimate_knows() -> None:
    """Connecting, and caches to be filled, are over after the first second."""
    progress = Progress(1000)
    progress.tick(0.0)
    for second, size in enumerate((150, 300), 1):
        progress.did(size)
        progress.tick(float(second))
    assert progress.eta == pytest.approx(550 / 300, rel=0.4)
