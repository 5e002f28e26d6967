"""What truly runs on a host, and the monitor that sees its processes end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.events import Health, Layer
from holdfast.events.fields import resource_entity
from holdfast.monitor import core
from holdfast.monitor.observation import Subject
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.wire import MonitorPulse, SignalSummary, Watch, WatchedResource
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.watchdog import Timer

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World


@dataclass(eq=False)
class Process:
    """One process of a workload: the truth, which services learn of late or never."""

    host: str
    boot: str
    group: str
    resource: str
    epoch: int
    token: str
    instance: str
    pid: int
    alive: bool = True
    on_end: list[Callable[[], None]] = field(default_factory=list)


class Machine:
    """A host's processes. `moods` is how its workloads behave at present."""

    def __init__(self, world: "World", place: Place) -> None:
        self.world, self.place = world, place
        self.processes: list[Process] = []
        config = world.file.nodes[place.name]
        self.timer = Timer(world, place) if config.watchdog else None
        self.moods: set[str] = set()
        """Of: start_fails, start_hangs, stop_hangs, unkillable."""
        self.stuck: set[str] = set()
        """Groups whose processes hang in the kernel, as far as the lease alone covers that."""
        self.unstopped: set[tuple[str, str]] = set()
        """Groups, with the boot, of which the record said that a stop failed here."""

    def spawn(self, group: str, resource: str, epoch: int, token: str) -> Process:
        """A process comes to life."""
        pid = self.world.next_pid()
        process = Process(
            self.place.name, self.place.boot, group, resource, epoch, token, f"{pid}:{pid * 7}", pid
        )
        self.processes.append(process)
        if self.world.tape is not None:
            self.world.note(
                self.place, f"process {pid} of {group}/{resource} runs at epoch {epoch}"
            )
        self.world.invariants.on_spawned(process)
        return process

    def end(self, process: Process, how: str, *, fault: bool = False) -> None:
        """A process is gone; who watches it hears so."""
        if not process.alive:
            return
        process.alive = False
        self.processes.remove(process)
        if self.world.tape is not None:
            what = f"process {process.pid} of {process.group}/{process.resource}"
            self.world.note(self.place, f"{what} {how}", fault=fault)
        monitor = self.place.service("monitor")
        if isinstance(monitor, MonitorService):
            self.world.engine.after(0.002, monitor.run, monitor.ended, (process.instance,))
        for act in process.on_end:
            act()

    def kill(self, process: Process, how: str) -> bool:
        """SIGKILL. False if it hangs in the kernel."""
        if process.alive and ("unkillable" in self.moods or self._hangs(process.group)):
            return False
        self.end(process, how)
        return True

    def held_for_its_stop(self, group: str) -> bool:
        """Whether the record said that a stop of the group failed in this boot."""
        return (group, self.place.boot) in self.unstopped

    def recorded(self, record: OwnershipRecord) -> None:
        """A record is stored: a stop failed here, or the group goes on."""
        if record.phase == Phase.HELD and record.owner == self.place.name and record.boot:
            self.unstopped.add((record.group, record.boot))
        elif record.phase in (Phase.STARTING, Phase.ACTIVE):
            self.unstopped.discard((record.group, self.place.boot))

    def _hangs(self, group: str) -> bool:
        """Until its lease ends, and beyond if a stop is known to have failed."""
        hands = self.world.hands(self.place.name)
        lasts = hands is not None and hands.holder.valid(
            hands.clock() + self.world.timing.stop_before
        )
        return group in self.stuck and (lasts or self.held_for_its_stop(group))

    def power_off(self) -> None:
        """Everything ends."""
        if self.timer is not None:
            self.timer.reset()
        for process in self.processes:
            process.alive = False
        self.processes = []

    def of(self, group: str) -> list[Process]:
        """What runs of a group."""
        return [process for process in self.processes if process.group == group]


class MonitorService(Service):
    """The real core of the monitor, fed by pidfds alone."""

    slot = title = "monitor"

    def __init__(self, world: "World", place: Place) -> None:
        super().__init__(world, place)
        self._state = core.State(observer=place.name)
        self._watched: dict[tuple[str, str], WatchedResource] = {}
        self._signals: list[SignalSummary] = []

    def start(self) -> None:
        """Begin to beat."""
        self.after(self.world.timing.pulse_every * self.world.chance.random(), self._beat)

    def watch(self, watch: Watch) -> None:
        """Recovery tells what runs here."""
        if watch.boot != self.place.boot:
            return
        # Volumes have no process: their storage service watches them.
        wanted = {(w.group, w.resource): w for w in watch.resources if w.pid}
        for key, old in list(self._watched.items()):
            if wanted.get(key) != old:
                del self._watched[key]
                entity = resource_entity(*key)
                new = wanted.get(key)
                self._state = (
                    core.reset(self._state, entity, new.instance)
                    if new
                    else core.forget(self._state, entity)
                )
        for key, resource in wanted.items():
            if key not in self._watched:
                self._watched[key] = resource
                machine = self.world.machines[self.place.name]
                lives = any(p.instance == resource.instance for p in machine.processes)
                self._see(resource, Health.OK if lives else Health.FAILED)
        self._signals = core.pulse_signals(self._state)

    def ended(self, instance: str) -> None:
        """A pidfd became readable."""
        for resource in self._watched.values():
            if resource.instance == instance:
                self._see(resource, Health.FAILED)
                self._pulse()

    def _see(self, resource: WatchedResource, state: Health) -> None:
        subject = Subject(
            entity=resource_entity(resource.group, resource.resource),
            node=self.place.name,
            layer=Layer.APPLICATION,
            probe="process",
            instance=resource.instance,
        )
        reason = "its process lives" if state is Health.OK else "its process ended"
        self._state, drafts = core.observe(
            self._state, subject.seen(state, reason), self.clock(), self.world.mint
        )
        for draft in drafts:
            self.world.emitted(self.place, self.slot, draft)
        self._signals = core.pulse_signals(self._state)

    def _beat(self) -> None:
        self._pulse()
        self.after(self.world.timing.pulse_every, self._beat)

    def _pulse(self) -> None:
        place = self.place
        pulse = MonitorPulse(
            node=place.name,
            boot=place.boot,
            now=self.clock(),
            signals=self._signals,
        )
        for name in self.world.voters:
            self.world.network.send(place.name, name, "decider", "hear", pulse)
        if self._signals:
            self.world.network.send(place.name, place.name, "hands", "heed", pulse)
