"""A cluster of simulated places, drawn from a seed."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from holdfast.config.model import (
    Cluster,
    ClusterFile,
    FenceDevice,
    Group,
    LocalRecovery,
    Node,
    ProcessCheck,
    ProcessResource,
    Resource,
    Watchdog,
    Witness,
)
from holdfast.events import Draft
from holdfast.events.sentences import sentence
from holdfast.ownership import OwnershipRecord
from holdfast.standing import Standing
from holdfast.structs import replace
from holdfast.timing import PROFILES, Timing
from tests.simulation.simulator.decider import DeciderService
from tests.simulation.simulator.engine import Engine
from tests.simulation.simulator.fences import Fences
from tests.simulation.simulator.hands import HandsService
from tests.simulation.simulator.invariants import Invariants
from tests.simulation.simulator.machine import Machine, MonitorService
from tests.simulation.simulator.network import Network
from tests.simulation.simulator.places import Place, Service
from tests.simulation.simulator.policies import has_policies, with_policies
from tests.simulation.simulator.storage.drawn import with_volumes
from tests.simulation.simulator.storage.service import StorageService
from tests.simulation.simulator.storage.volumes import Volumes
from tests.simulation.simulator.store import Store

if TYPE_CHECKING:
    from tests.simulation.simulator.timeline import Tape

HOSTS = ("alpha", "beta", "delta")
WITNESSES = ("omega", "sigma", "tau")
BRISK = Timing(
    ttl=6.0,
    renew_every=1.25,
    leader_ttl=4.0,
    margin=0.2,
    stop_before=0.8,
    kill_before=0.4,
    suspect_after=2.25,
    pulse_every=0.75,
    order_expiry=3.0,
    frozen_after=10.0,
)
"""`standard` with fewer messages, so that more histories fit in a minute; `check` accepts it."""
BRISK.check()
FENCING_SEED = 1_000_000_007
"""Drawn apart, so that what else a seed draws does not depend on how its hosts are fenced."""
SERVICES = {"decider": DeciderService, "hands": HandsService, "monitor": MonitorService}
SERVICES |= {"storage": StorageService}


class World:
    """Everything. `run` lets true time pass."""

    def __init__(self, seed: int, tape: "Tape | None" = None) -> None:
        self.seed, self.chance = seed, Random(seed)
        chance = self.chance
        self.tape = tape
        self.engine = Engine(chance)
        self.seen: Counter[str] = Counter()
        """What truly happened, by name: a fault that is drawn and has no effect is not among it."""
        self.timing = chance.choice([*[BRISK] * 8, PROFILES["standard"], PROFILES["fast"]])
        self.slowest_tick = chance.choice([0.1, 0.5, 0.5, 0.5])
        drawn = _draw_fencing(_draw_cluster(chance), Random(seed + FENCING_SEED))
        self.file = with_volumes(with_policies(drawn, seed), seed)
        self.policies = has_policies(seed)
        self.voters = self.file.cluster.voters
        quotient = self.timing.ttl / (self.timing.ttl - self.timing.margin)
        drift = 0.98 * (quotient - 1) / (quotient + 1)
        names = [*self.file.nodes, *self.file.witnesses]
        slow = chance.choice(names) if chance.random() < 0.4 else ""
        self.places = {
            name: Place(
                name, 1 + drift * _draw_skew(chance, name, slow), host=name in self.file.nodes
            )
            for name in names
        }
        if len({place.rate for place in self.places.values()}) > 1:
            self.seen["clocks at different rates"] += 1
        self.network = Network(self.engine, self.places, self.seen)
        self.machines = {n: Machine(self, p) for n, p in self.places.items() if p.is_host}
        self.fences = Fences(self, chance)
        self.store = Store(self, chance.choice(list(self.places)))
        self.invariants = Invariants(self)
        self.volumes = Volumes(self)
        self.on_learnt: Callable[[Place], None] = lambda _: None
        """Told of every place whose blank voter has its memory."""
        self.on_record: Callable[[OwnershipRecord], None] = lambda _: None
        """Told of every ownership record that is stored."""
        self.rests_from = 0.0
        """Before, something is still to come."""
        self.off_for_good: set[str] = set()
        """Hosts that nobody switches on again."""
        self.without_hands: set[str] = set()
        """Hosts whose recovery does not start any more."""
        self.drafts: list[tuple[str, Draft]] = []
        self._ids = 0
        self._pids = 1000
        for place in self.places.values():
            self.engine.at(chance.uniform(0.0, 2.0), self.power_on, place)

    @property
    def lease_only(self) -> bool:
        """Whether nothing but the owner's own self-stop keeps two owners apart."""
        return self.file.cluster.fencing == "lease-only"

    def mint(self) -> str:
        """Ids count up, as wide as real ones."""
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012d}"

    def next_pid(self) -> int:
        """A process id that was never used before."""
        self._pids += 1
        return self._pids

    # --- machines and services ------------------------------------------------------------

    def power_on(self, place: Place, *, services_after: float = 0.0) -> None:
        """A new boot."""
        if place.powered or place.name in self.off_for_good:
            return
        place.powered, place.paused = True, False
        if place.is_host:
            self.fences.restore(place.name)
        place.number += 1
        place.boot = f"boot-{place.name}-{place.number}"
        place.booted_at = self.engine.now
        if place.number > 1:
            forgot = place.name in self.voters and place.votes is None
            self.seen["boot without disk" if forgot else "boot with disk"] += 1
        self.note(place, f"boots as {place.boot}")
        for slot in self.slots(place):
            self.engine.after(
                services_after + 0.3 * self.chance.random(), self.begin, place, slot, place.number
            )

    def power_off(self, place: Place, why: str) -> None:
        """Power is gone, and all that ran."""
        if not place.powered:
            return
        self.note(place, why, fault=True)
        place.powered, place.paused = False, False
        place.off_since = self.engine.now
        for service in place.services.values():
            service.alive = False
        if place.is_host:
            self.machines[place.name].power_off()
        self.volumes.power_off(place)

    def begin(self, place: Place, slot: str, boot: int) -> None:
        """Start a service, unless it runs or its machine is another boot by now."""
        if not place.powered or place.number != boot or place.service(slot) is not None:
            return
        if slot == "hands" and place.name in self.without_hands:
            return
        service = SERVICES[slot](self, place)
        place.services[slot] = service
        self.note(place, f"{service.title} starts")
        if place.paused:
            service.freeze()
        service.run(service.start, ())

    def crash(self, service: Service) -> None:
        """kill -9."""
        if service.alive:
            self.note(service.place, f"{service.title} is killed", fault=True)
            service.alive = False

    def decider(self, place: str) -> DeciderService | None:
        """The decider that runs there."""
        service = self.places[place].service("decider")
        return service if isinstance(service, DeciderService) else None

    def hands(self, place: str) -> HandsService | None:
        """The hands that run there."""
        service = self.places[place].service("hands")
        return service if isinstance(service, HandsService) else None

    def slots(self, place: Place) -> list[str]:
        """The services that belong there."""
        slots = ["decider"] if place.name in self.voters else []
        storage = ["storage"] if self.volumes.configs else []
        return [*slots, "hands", "monitor", *storage] if place.is_host else slots

    def supervise(self) -> None:
        """Start whatever does not run."""
        for place in self.places.values():
            for slot in self.slots(place):
                self.begin(place, slot, place.number)

    # --- what happened --------------------------------------------------------------------

    def emitted(self, place: Place, service: str, draft: Draft) -> None:
        """An event is on the record."""
        self.drafts.append((f"/sim/{place.name}/{service}", draft))
        if self.tape is not None:
            self.tape.add(self.engine.now, place.name, sentence(draft.data, draft.entity), "event")
        self.invariants.on_emitted(place, draft)

    def stored(self, record: OwnershipRecord | Standing, revision: int) -> None:
        """A record, or the standing orders, are in the bucket."""
        if isinstance(record, Standing):
            if self.tape is not None:
                said = ", ".join(f"{m.kind} of {m.scope} {m.name}" for m in record.marks)
                text = f"standing orders: {said or 'none'} (revision {revision})"
                self.tape.add(self.engine.now, "store", text, "store")
            return
        for machine in self.machines.values():
            machine.recorded(record)
        self.on_record(record)
        if self.tape is not None:
            owner = f"{record.owner}, {record.boot}" if record.owner else "nobody"
            what = f"{record.group} is {record.phase} at epoch {record.epoch}"
            text = f"{what}: {owner} (revision {revision})"
            self.tape.add(self.engine.now, "store", text, "store")

    def note(self, place: Place | str, text: str, *, fault: bool = False) -> None:
        """Something for the timeline, of a place or of the network, the store, all."""
        if self.tape is not None:
            where = place if isinstance(place, str) else place.name
            self.tape.add(self.engine.now, where, text, "fault" if fault else "")


def _draw_skew(chance: Random, name: str, slow: str) -> float:
    """Often one clock against all the others, as far apart as the margin allows."""
    if slow:
        return -1.0 if name == slow else 1.0
    return chance.choice([-1.0, 1.0, chance.uniform(-1.0, 1.0)])


def _draw_cluster(chance: Random) -> ClusterFile:
    hosts = HOSTS[: chance.choice([2, 2, 2, 2, 3])]
    voters = chance.choice([3, 3, 3, 3, 3, 5])
    witnesses = WITNESSES[: voters - len(hosts)]
    lease_only = chance.random() < 0.3
    devices = [] if lease_only else [FenceDevice(agent="fence_simulated")]
    groups = {}
    for number in range(chance.choice([1, 1, 2, 3])):
        nodes: list[str] = chance.sample(hosts, len(hosts))
        groups[f"g{number}"] = Group(
            nodes=nodes, resources=_draw_resources(chance), max_moves=100, moves_window=60.0
        )
    return ClusterFile(
        cluster=Cluster(
            name="sim",
            voters=[*hosts, *witnesses],
            fencing="lease-only" if lease_only else "required",
        ),
        nodes={name: Node(address="127.0.0.1", fence=devices) for name in hosts},
        witnesses={name: Witness(address="127.0.0.1") for name in witnesses},
        groups=groups,
    )


def _draw_fencing(file: ClusterFile, chance: Random) -> ClusterFile:
    """Some of the clusters with fence devices have two for each host, watchdogs, or only these."""
    kind = chance.random()
    if file.cluster.fencing == "lease-only" or kind < 0.4:
        return file
    outlet = FenceDevice(agent="fence_simulated", level=1)
    one = FenceDevice(agent="fence_simulated")
    devices = [outlet, outlet] if kind < 0.6 else [one] if kind < 0.8 else []
    watchdog = Watchdog() if kind >= 0.6 else None
    nodes = {
        name: replace(node, fence=devices, watchdog=watchdog) for name, node in file.nodes.items()
    }
    return replace(file, nodes=nodes)


def _draw_resources(chance: Random) -> dict[str, Resource]:
    count = chance.choice([1, 1, 2, 3])
    names = [f"r{number}" for number in range(count)]
    return {
        name: ProcessResource(
            command=["true"],
            after=names[:number] if chance.random() < 0.7 else [],
            start_timeout=3.0,
            stop_timeout=3.0,
            checks=[ProcessCheck()],
            recovery=LocalRecovery(attempts=chance.choice([0, 1, 3]), window=60.0, backoff=0.5),
        )
        for number, name in enumerate(names)
    }
