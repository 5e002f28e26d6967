"""Async members that are away: within their bound they go on following, over it as configured."""

from msgspec.structs import replace

from holdfast.storage_replication.engine.peer import Phase
from holdfast.storage_replication.engine.ports import MemberLost
from holdfast.storage_replication.engine.primary import Primary
from tests.simulation.volumes.disks import SECTOR
from tests.simulation.volumes.history import content
from tests.simulation.volumes.machine import GEOMETRY
from tests.simulation.volumes.reckoning import settle
from tests.simulation.volumes.world import SIZE, World

SEED = next(s for s in range(1000) if World(s).asynchronous and len(World(s).machines) == 2)
PAIR = frozenset({"a", "b"})
EXTENT = GEOMETRY.extent


class Followed:
    """A quiet volume whose member `b` follows, and writes to it one after the other."""

    def __init__(
        self,
        *,
        hold: bool = False,
        hot: int = 4,
        size: int = 4 << 10,
        age: float = 3.0,
        idle: float = 60.0,
    ) -> None:
        self.world = world = World(SEED)
        world.settings = replace(
            world.settings,
            max_lag_bytes=size,
            max_lag_seconds=age,
            hold_when_behind=hold,
            hot_extents=hot,
            window=1 << 20,
            idle=idle,
        )
        world.service.trouble = False
        world.client.busy = False
        settle(world)
        self.acknowledged: list[int] = []
        self._labels = 0

    @property
    def leader(self) -> Primary:
        leader = self.world.leader
        assert leader is not None
        return leader

    @property
    def following(self) -> bool:
        return self.world.service.record.following == ["b"]

    def run(self, seconds: float) -> None:
        self.world.loop.run(self.world.loop.now + seconds)

    def write(self, sector: int) -> None:
        """One sector; in `acknowledged` when it is."""
        self._labels += 1
        self.world.history.issue(self._labels, self._labels, sector, sector)
        number = self._labels

        def done(error: int) -> None:
            assert error == 0
            self.acknowledged.append(number)

        self.leader.write(sector * SECTOR, content(number), False, done)

    def cut(self) -> None:
        """Until the primary takes it for lost."""
        self.world.cuts.add(PAIR)
        self.run(self.world.settings.member_timeout + 0.2)
        assert any(isinstance(event, MemberLost) for event in self.world.reports)

    def lag(self) -> int:
        return self.world.lag(self.world.machines["a"], "b")

    def lacking(self) -> int:
        """Bytes of the sectors in which it differs."""
        ours, theirs = (self.world.machines[name].data.memory for name in "ab")
        sectors = [slice(at, at + SECTOR) for at in range(0, SIZE, SECTOR)]
        return SECTOR * sum(ours[one] != theirs[one] for one in sectors)

    def heal(self) -> None:
        self.world.cuts.clear()
        settle(self.world)
        assert self.lacking() == self.lag() == 0


def test_a_blip_within_the_bound_takes_nobody_out() -> None:
    volume = Followed()
    volume.cut()
    assert volume.following
    for sector in range(4):
        volume.write(sector)
    volume.run(0.2)
    assert volume.acknowledged == [1, 2, 3, 4], "nobody is waited for"
    assert volume.following
    assert volume.lag() == volume.lacking() == 4 * SECTOR


def test_what_was_under_way_when_it_was_lost_is_told_as_lacking() -> None:
    volume = Followed()
    volume.world.cuts.add(PAIR)
    for sector in range(3):
        volume.write(sector)
    volume.run(volume.world.settings.member_timeout + 0.2)
    assert volume.leader.members.peers["b"].phase is Phase.AWAY
    assert volume.following
    assert volume.lag() == volume.lacking() == 3 * SECTOR


def test_the_record_does_not_count_on_one_that_is_being_resynced() -> None:
    """Its data is in no order then: it could be promoted with any mixture."""
    volume = Followed()
    volume.cut()
    volume.write(1)
    volume.run(0.2)
    assert volume.lacking() > 0
    peer = volume.leader.members.peers["b"]
    volume.world.cuts.clear()
    seen = set()
    for _ in range(4000):
        volume.run(0.0005)
        seen.add((peer.phase, volume.following))
        if volume.lacking() == 0:
            break
    assert (Phase.RESYNCING, False) in seen
    assert (Phase.RESYNCING, True) not in seen
    volume.heal()
    assert volume.following


def test_an_old_primary_gets_back_what_a_follower_lacked_that_was_promoted() -> None:
    """What differs stays active at the old one, however long nothing is written: its map of the
    new one is nothing that the new one knows."""
    volume = Followed(idle=0.3, hot=1)
    world = volume.world
    volume.cut()
    for sector in (1, EXTENT // SECTOR, 1):
        volume.write(sector)
        volume.run(0.5)
    volume.run(1.0)
    assert volume.following
    world.machines["a"].die(True)
    world.decider.move(0.1)
    world.cuts.clear()
    settle(world)
    assert world.service.record.primary == "b"
    assert volume.lacking() == 0


def test_over_its_bound_in_bytes_it_is_behind_and_writes_go_on() -> None:
    volume = Followed(size=4 * SECTOR)
    volume.cut()
    volume.world.service.stalled_until = volume.world.loop.now + 1.0
    for sector in range(8):
        volume.write(sector)
    volume.run(0.9)
    assert volume.acknowledged == [1, 2, 3, 4], "until the record says so"
    volume.run(2.0)
    assert volume.acknowledged == list(range(1, 9))
    assert volume.world.service.record.following == []
    volume.heal()


def test_over_its_bound_in_seconds_it_is_behind() -> None:
    volume = Followed(age=1.0)
    volume.cut()
    volume.run(5.0)
    assert volume.following, "it lacks nothing"
    volume.write(1)
    volume.run(0.7)
    assert volume.following
    volume.run(0.7)
    assert volume.world.service.record.following == []


def test_writes_are_held_for_one_that_is_away() -> None:
    volume = Followed(hold=True, size=4 * SECTOR)
    volume.cut()
    for sector in range(8):
        volume.write(sector)
    volume.run(20.0)
    assert volume.acknowledged == [1, 2, 3, 4]
    assert volume.following
    assert volume.lacking() <= volume.world.settings.max_lag_bytes
    volume.heal()
    assert volume.acknowledged == list(range(1, 9))
    assert volume.following


def test_writes_are_held_when_what_it_lacks_is_too_old() -> None:
    volume = Followed(hold=True, age=1.0)
    volume.cut()
    volume.write(1)
    volume.run(1.5)
    volume.write(2)
    volume.run(20.0)
    assert volume.acknowledged == [1]
    volume.heal()
    assert volume.acknowledged == [1, 2]


def test_within_its_bound_writes_do_not_wait_for_room_in_the_activity_log() -> None:
    """What it lacks stays active: the bound of the lag is the bound of that."""
    volume = Followed(hold=True, hot=1)
    volume.cut()
    for extent in range(4):
        volume.write(extent * EXTENT // SECTOR)
        volume.run(0.5)
    assert volume.acknowledged == [1, 2, 3, 4]
    assert set(volume.leader.disk.activity.active) == {0, 1, 2, 3}
    volume.heal()
    for extent in (0, 3, 1, 2):
        volume.write(extent * EXTENT // SECTOR + 1)
        volume.run(0.3)
    assert volume.acknowledged == list(range(1, 9))
    assert len(volume.leader.disk.activity.active) == 1


def test_a_member_that_is_taken_out_for_good_holds_nobody() -> None:
    volume = Followed(hold=True, size=4 * SECTOR)
    volume.cut()
    for sector in range(8):
        volume.write(sector)
    volume.leader.members.leave("b")
    volume.run(1.0)
    assert volume.acknowledged == list(range(1, 9))


def test_after_a_restart_what_it_lacks_is_as_old_as_may_be() -> None:
    """Nobody knows for how long it has lacked that; too low a number would be a promise."""
    volume = Followed(hold=True, size=1 << 20)
    volume.cut()
    volume.write(1)
    volume.run(0.2)
    volume.world.machines["a"].die(False)
    volume.run(2.0)
    peer = volume.leader.members.peers["b"]
    assert peer.lag is not None
    assert volume.following
    assert volume.lag() >= volume.lacking() > 0
    assert peer.lag.seconds(volume.world.loop.now) >= volume.world.settings.max_lag_seconds
    volume.heal()


def test_after_a_restart_one_that_lacks_nothing_has_no_lag() -> None:
    volume = Followed(hold=True)
    volume.world.settings = replace(volume.world.settings, idle=0.3)
    volume.world.machines["a"].die(False)
    volume.run(4.0)
    volume.write(1)
    volume.run(2.0)
    assert volume.leader.disk.activity.active == {}
    volume.leader.disk.activity.bits.save(lambda _error: None)  # as the next extent does
    volume.run(0.1)
    volume.world.cuts.add(PAIR)
    volume.world.machines["a"].die(False)
    volume.run(5.0)
    peer = volume.leader.members.peers["b"]
    assert peer.lag is not None
    assert (peer.lag.bytes, peer.lag.seconds(volume.world.loop.now)) == (0, 0.0)
    volume.write(1)
    volume.run(0.2)
    assert volume.acknowledged == [1, 2]
    assert volume.following
