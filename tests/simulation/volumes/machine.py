"""A machine: its disk, and the process of one volume on it, which dies and is started again."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.disk.member import MemberDisk, create, open_member
from holdfast.storage_replication.engine.changes import Growth
from holdfast.storage_replication.engine.fallback import FallbackRefused, GoingBack
from holdfast.storage_replication.engine.frames import Frame
from holdfast.storage_replication.engine.ports import Event, Ports, Settings
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Promotion, promote
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.engine.turns import Turns
from tests.simulation.volumes.disks import SECTOR, Loop, Power, SimFile, SimStore
from tests.simulation.volumes.wires import End

if TYPE_CHECKING:
    from tests.simulation.volumes.world import World

GEOMETRY = Geometry(extent=32 << 10, chunk=8 << 10, block=1 << 10)
TICK = 0.1


class Machine:
    """`process` is None while it is dead."""

    def __init__(self, name: str, world: "World", size: int, undo_limit: int) -> None:
        self.name, self.world = name, world
        self.loop: Loop = world.loop
        self.power = Power(self.loop)
        self.power.crashed = self._crashed
        self.guard = self.power.guard
        self.data = SimFile(self.power, size)
        self.store = SimStore(self.power)
        self.undo_limit = undo_limit
        self.disk: MemberDisk | None = None
        self.process: Primary | Replica | None = None
        self.ends: list[End] = []
        self.highest = 0
        """The highest epoch at which it was seen to act."""
        self.member = True
        """The record names it, or has just ceased to."""
        self.growth: Growth | None = None
        """Of its primary."""
        self.repairing: tuple[int, int] | None = None
        """What an operator wants overwritten after a verify, and does not need to be."""
        self.before: tuple[int, bytes] | None = None
        """The resync that is under way, and what its data was when it began."""
        self._create(size)

    def _create(self, size: int) -> None:
        create(
            self.store, self.data, uuid="volume-1", member=self.name, size=size, geometry=GEOMETRY
        )

    def expel(self) -> None:
        """It is no member any more: its process ends."""
        if self.name in self.world.service.record.members:
            return
        self.member = False
        if self.disk is not None:
            self.die(False)

    def join(self, size: int) -> None:
        """A new copy: its own files are made anew, its disk has what it had."""
        self.member, self.highest, self.before = True, 0, None
        self.store = SimStore(self.power)
        self.enlarge(size)
        self._create(size)
        self.start()

    def later(self, delay: float, work: Callable[[], None]) -> None:
        """Unless the process dies before."""
        life = self.power.life
        self.loop.at(delay, lambda: self.guard(work) if life == self.power.life else None)

    def _crashed(self) -> None:
        self.world.note(f"{self.name}: in the middle of a step")
        self.die(self.loop.random.random() < 0.5)

    def die(self, power: bool) -> None:
        """The process, or the machine with what it had not synced."""
        self.world.process_gone(self, power)
        self.power.life += 1
        self.power.fuse = self.power.fault = None
        self.process = self.disk = self.growth = self.repairing = None
        ends, self.ends = self.ends, []
        for end in ends:
            end.close()
        if power:
            self.power.boot += 1
            self.data.lose_power()
            self.store.lose_power()
        self.data.reopen(True)
        self.store.reopen()
        self.loop.at(self.loop.random.choice((0.05, 0.3, 1.5)), self.start)

    def start(self) -> None:
        """Once it is dead. It comes back in the role it had, if it lost nothing."""
        life = self.power.life
        if self.process is not None or self.disk is not None or not self.member:
            return

        def opened() -> None:
            disk = open_member(
                self.store,
                self.data,
                place=self.name,
                boot=str(self.power.boot),
                undo_limit=self.undo_limit,
            )
            self.disk = disk

            def confirmed(error: int) -> None:
                if life == self.power.life:
                    self.guard(lambda: self.die(False) if error else self.world.opened(self))

            disk.confirm(confirmed)

        try:
            self.guard(opened)
        except OSError:
            self.die(False)

    def follow(self) -> None:
        """As a replica."""
        assert self.disk is not None
        self.growth = None
        self.process = Replica(self.disk, self._event, self.enlarge, self._turns())

    def _turns(self) -> Turns:
        """So small that many a zeroing takes several."""
        return Turns(lambda then: self.later(0.0, then), 2 * SECTOR)

    def enlarge(self, size: int) -> None:
        """Of a device nobody knows what is there."""
        self.data.resize(size, 0xEE)

    def lead(self, order: Promotion, settings: Settings) -> None:
        """As the primary. Raises PromotionRefused."""
        assert self.disk is not None
        self.growth = None
        if self.process is not None:
            self.process.close()
        ports = Ports(
            now=lambda: self.loop.now,
            ask=lambda member, counts, ticket: self.world.service.ask(self, member, counts, ticket),
            report=self._event,
            turns=self._turns(),
        )
        primary = promote(self.disk, ports, settings, order)
        self.process = primary
        self._tick(primary)

    def process_epoch(self) -> int:
        """At which the process acts."""
        return self.disk.superblock.epoch if self.disk is not None else 0

    def demote(self) -> None:
        """The decider's word has come: another machine has the volume."""
        if isinstance(self.process, Primary):
            self.process.close()
            self.follow()

    def fall_back(self, then: Callable[[], None]) -> None:
        """The record names us, and an operator accepted what that loses: back to the last
        consistent state, then go on. If it is gone, as a replica."""
        disk, before = self.disk, self.before
        assert disk is not None
        if self.process is not None:
            self.process.close()

        def done(error: int) -> None:
            if error:
                return
            if before is not None and before[0] == disk.superblock.resyncs:
                self.world.count("fallback compared")
                was = before[1][: disk.superblock.size]
                self.world.check(
                    self.data.memory[: len(was)] == was,
                    f"V6: {self.name} fell back, but not to its last consistent state",
                )
            self.guard(then)

        try:
            self.world.count("fallback")
            GoingBack(disk, self._event, lambda then: self.later(0.0, then)).begin(done)
        except FallbackRefused:
            self.world.count("fallback refused")
            self.follow()

    def _tick(self, primary: Primary) -> None:
        def tick() -> None:
            if self.process is primary:
                self.world.connect(self, primary)
                primary.tick()
                self.later(TICK, tick)

        self.later(0.0, tick)

    def _event(self, event: Event) -> None:
        self.world.event(self, event)

    # The ends of wires.

    def from_replica(self, end: End, frame: Frame, payload: memoryview) -> None:
        """To our primary."""
        primary = self.process
        if isinstance(primary, Primary):
            name = end.other_name
            self.guard(lambda: primary.frame_received(name, end, frame, bytes(payload)))

    def from_primary(self, end: End, frame: Frame, payload: memoryview) -> None:
        """To our replica."""
        replica = self.process
        if not isinstance(replica, Replica):
            end.close()
            return

        def take() -> None:
            replica.frame_received(end, frame, payload)
            replica.acknowledge()
            self.world.replica_took(self)

        self.guard(take)

    def replica_gone(self, end: End) -> None:
        """Our primary loses a link."""
        primary = self.process
        if isinstance(primary, Primary):
            self.guard(lambda: primary.link_down(end.other_name, end))

    def primary_gone(self, end: End) -> None:
        """Our replica loses its link."""
        replica = self.process
        if isinstance(replica, Replica):
            self.guard(lambda: replica.link_down(end))
