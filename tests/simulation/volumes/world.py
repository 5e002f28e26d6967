"""Machines, wires, record, clients: one volume's life on virtual time."""

from collections import Counter
from random import Random

from holdfast.storage_replication.engine.ports import Differences, DiskFailed, Event, Settings
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Other, Promotion, PromotionRefused
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.replicated import membership, transitions
from tests.simulation.volumes.clients import Client
from tests.simulation.volumes.disks import SECTOR, Loop
from tests.simulation.volumes.failovers import LEASE, Decider
from tests.simulation.volumes.history import History, Violation
from tests.simulation.volumes.machine import Machine
from tests.simulation.volumes.operators import verified
from tests.simulation.volumes.service import Service
from tests.simulation.volumes.wires import End, Wire

RENEW = 0.25
SIZE = 128 << 10


class World:
    """`asynchronous`: of members the record says `following` instead of in sync."""

    def __init__(self, seed: int) -> None:
        self.loop = Loop(seed)
        random = Random(f"{seed} world")
        names = ["a", "b", "c"][: random.choice((2, 2, 3))]
        self.asynchronous = random.random() < 0.25
        self.settings = Settings(
            member_timeout=0.6,
            ping_interval=0.2,
            suspect_after=0.4,
            ask_again=0.3,
            idle=random.choice((0.3, 2.0)),
            window=random.choice((8 << 10, 1 << 20)),
            hot_extents=random.choice((1, 2, 4)),
            resync_window=random.choice((1, 4)),
            checkpoint=random.choice((1, 4, 1000)),
            max_lag_bytes=16 << 10,
            max_lag_seconds=1.0,
            hold_when_behind=random.random() < 0.3,
        )
        undo = random.choice((20 << 10, 1 << 20, 1 << 20))
        self.figures: Counter[str] = Counter()
        self.tape: list[str] = []
        self.cuts: set[frozenset[str]] = set()
        self.deaf: set[str] = set()
        self.history = History(SIZE // SECTOR)
        self.machines = {name: Machine(name, self, SIZE, undo) for name in names}
        record = membership.create("v1", "volume-1", SIZE, names, "a")
        self.service = Service(self, transitions.promote(record, "a", 1, set(), "").record)
        self.lease: dict[str, float] = {}
        self.reported: Counter[str] = Counter()
        """The lag of async members when their primary died, in bytes."""
        self.calm = False
        self.sound = True
        """No disk has failed, or has a bad sector: nothing may differ."""
        self.reports: list[Event] = []
        self.moving = False
        self.undone: set[int] = set()
        """Epochs that begin with a member going back to its last consistent state."""
        self.decider = Decider(self)
        self.client = Client(self, seed)
        for machine in self.machines.values():
            machine.start()
        self._renew()

    def note(self, text: str) -> None:
        """One line of the story."""
        self.tape.append(f"{self.loop.now:9.4f} {text}")

    def count(self, what: str) -> None:
        """It happened, so the seeds prove something about it."""
        self.figures[what] += 1

    def check(self, holds: bool, promise: str) -> None:
        """Raises Violation."""
        if not holds:
            raise Violation(promise)

    @property
    def members(self) -> list[Machine]:
        """That the record names."""
        return [m for m in self.machines.values() if m.name in self.service.record.members]

    @property
    def leader(self) -> Primary | None:
        """The primary that the record names, if its process is one."""
        machine = self.machines[str(self.service.record.primary)]
        primary = machine.process
        if isinstance(primary, Primary) and self.current(machine):
            return primary
        return None

    def current(self, machine: Machine) -> bool:
        """Whether the record says that this machine's process is the primary."""
        record = self.service.record
        return machine.name == record.primary and machine.process_epoch() == record.epoch

    # Processes.

    def opened(self, machine: Machine) -> None:
        """A process has started and read its disk."""
        disk, record = machine.disk, self.service.record
        assert disk is not None
        self.accepted(machine, disk.superblock.epoch)
        if record.primary == machine.name:
            self.service.fence(machine, lambda: self._role(machine))
        else:
            machine.follow()

    def _role(self, machine: Machine) -> None:
        """Its old one, unless the record has moved on or what it had in memory is lost."""
        record, disk = self.service.record, machine.disk
        assert disk is not None
        if machine.process is not None:
            return
        ours = record.primary == machine.name and not self.moving
        if ours and (disk.superblock.intact or record.epoch in self.undone):
            self.promote(machine)
        else:
            machine.follow()

    def promote(self, machine: Machine, kept_from: int = 0) -> None:
        """Give it the role that the record says it has; `kept_from` as whoever wrote it knows."""
        record, disk = self.service.record, machine.disk
        assert disk is not None
        if disk.superblock.resyncing and record.epoch in self.undone:
            machine.fall_back(lambda: self.promote(machine, kept_from))
            return
        if record.epoch in self.undone:
            self.accept(machine)
        if (disk.superblock.epoch, disk.superblock.primary) == (record.epoch, machine.name):
            kept_from = record.epoch
        elif any(not record.counts(name) for name in record.before):
            self.count("absent and known")
        intact = disk.superblock.intact
        if not intact:
            self.history.memory_lost()
            self.count("memory lost")
        others = {
            name: Other(record.counts(name), self.asynchronous, name in record.before)
            for name in record.members
            if name != machine.name
        }
        loss = bool(record.loss)
        order = Promotion(record.epoch, not loss, kept_from, others, loss)
        try:
            machine.lead(order, self.settings)
        except PromotionRefused as refused:
            self.note(f"{machine.name}: {refused.problem}")
            machine.follow()
            return
        except OSError:
            machine.die(False)
            return
        self.note(f"{machine.name} leads at {record.epoch}, intact {intact}, sync {record.in_sync}")
        self.count("promotion")
        machine.process.renew(self.lease.get(machine.name, 0.0))  # type: ignore[union-attr]

    def process_gone(self, machine: Machine, power: bool) -> None:
        """It died, and with it what its clients waited for."""
        self.note(f"{machine.name} dies{', power lost' if power else ''}")
        self.count("power" if power else "kill")
        self.client.gone(machine)
        if isinstance(machine.process, Primary):
            self.count("primary dies")
            self.report_lag(machine, machine.process)

    def report_lag(self, machine: Machine, primary: Primary) -> None:
        """What it said last, as a primary that ends."""
        for name in primary.members.peers:
            self.reported[name] = self.lag(machine, name)

    def event(self, machine: Machine, event: Event) -> None:
        """An engine reports."""
        self.note(f"{machine.name}: {event}")
        self.count(type(event).__name__)
        self.reports.append(event)
        if isinstance(event, Differences):
            verified(self, machine, event)
        if isinstance(event, DiskFailed):
            # Nothing but a new start ends that.
            life = machine.power.life
            self.loop.at(
                self.loop.random.choice((0.05, 0.5)),
                lambda: machine.die(False) if life == machine.power.life else None,
            )

    def replica_took(self, machine: Machine) -> None:
        """Remember what the data was when a resync began."""
        disk = machine.disk
        if disk is not None:
            self.accepted(machine, disk.superblock.epoch)
        if disk is None or not disk.superblock.resyncing:
            machine.before = None
        elif machine.before is None or machine.before[0] != disk.superblock.resyncs:
            # Taken when the undo log is empty: nothing was overwritten yet.
            if disk.undo is not None and not disk.undo.saved:
                was = bytes(machine.data.memory[: disk.superblock.size])
                machine.before = disk.superblock.resyncs, was
            else:
                machine.before = -1, b""

    def accepted(self, machine: Machine, epoch: int) -> None:
        """It acts at this epoch: never again at a lower one."""
        highest = machine.highest
        self.check(epoch >= highest, f"V2: {machine.name} is at epoch {epoch}, was at {highest}")
        machine.highest = epoch

    # Connections.

    def connect(self, machine: Machine, primary: Primary) -> None:
        """A primary connects to whoever can be reached."""
        for name, peer in list(primary.members.peers.items()):
            other = self.machines[name]
            reachable = frozenset((machine.name, name)) not in self.cuts
            if peer.link is None and reachable and isinstance(other.process, Replica):
                near, far = self._wire(machine, other)
                machine.ends.append(near)
                other.ends.append(far)
                primary.link_up(name, near)

    def _wire(self, machine: Machine, other: Machine) -> tuple[End, End]:
        pair = frozenset((machine.name, other.name))
        wire = Wire(self.loop, lambda: pair in self.cuts)
        near = End(wire, machine.power, machine.from_replica, machine.replica_gone)
        far = End(wire, other.power, other.from_primary, other.primary_gone)
        near.other, far.other = far, near
        near.other_name, far.other_name = other.name, machine.name
        return near, far

    # Leases and failovers.

    def _renew(self) -> None:
        leader = str(self.service.record.primary)
        machine = self.machines[leader]
        if not self.moving and leader not in self.deaf:
            self.lease[leader] = self.loop.now + LEASE
            primary = machine.process
            if isinstance(primary, Primary) and self.current(machine):
                machine.guard(lambda: primary.renew(self.lease[leader]))
        self.loop.at(RENEW, self._renew)

    def lag(self, machine: Machine, member: str) -> int:
        """What a primary says a member lacks, in bytes; 0: it is no async member of it."""
        if not isinstance(machine.process, Primary):
            return 0
        peer = machine.process.members.peers.get(member)
        return peer.lag.bytes if peer is not None and peer.lag is not None else 0

    def accept(self, machine: Machine) -> int:
        """An operator accepts what it lacks: so many bytes."""
        self.undone.discard(self.service.record.epoch)
        assert machine.disk is not None
        size = machine.disk.superblock.size
        self.history.grow(size // SECTOR)
        data = machine.data
        lost = self.history.accept(bytes(data.memory[:size]), data.durable()[:size])
        self.count("loss accepted")
        return sum(self.history.sizes.get(write, 0) for write in lost)
